export { guestImage } from './image.ts';
export { QemuEngine } from './qemu.ts';
export { buildZfs, zfsModules } from './zfs.ts';
