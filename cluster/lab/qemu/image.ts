/**
 * What QEMU's guests boot: the distribution's cloud kernel, an initramfs that reaches the root disk, and a root of Debian
 * packages as an ext4 image. Made once for each list of packages and recipe; all guests read the same one.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cacheFolder, whole } from '../cache.ts';
import { command, Debian, dependenciesOf, unpack } from '../debian.ts';

/** Kernel and programs for all that a host of Quorate may serve, so that a scenario needs no image of its own. */
export const PACKAGES: readonly string[] = [
  ...[
    'base-files',
    'base-passwd',
    'libc-bin',
    'netbase',
    'dash',
    'bash',
    'coreutils',
    'findutils',
    'grep',
    'sed',
    'gawk',
  ],
  ...['busybox-static', 'mount', 'util-linux', 'kmod', 'procps', 'psmisc', 'e2fsprogs'],
  ...['iproute2', 'iputils-arping', 'iputils-ping', 'libndp-tools', 'nftables'],
  ...['drbd-utils', 'zfsutils-linux'],
  ...['nfs-kernel-server', 'nfs-common', 'tgt', 'targetcli-fb', 'open-iscsi', 'samba'],
  ...['openssh-server', 'openssh-client', 'pv'],
  // The host's Node.js runs in the guests too.
  'libstdc++6',
];
const KERNEL = 'linux-image-cloud-amd64';
/** Drawn in for the packages' scripts, which do not run here. */
const WITHOUT = ['perl-modules-', 'usrmerge_'] as const;
/** What the initramfs loads, with what these need. */
const BOOT_MODULES = ['virtio_pci', 'virtio_blk', 'ext4', 'overlay'] as const;
const NO_HARDWARE = ['gpu', 'infiniband', 'net/ethernet', 'hid', 'iio', 'media', 'usb'].map(
  (name) => `drivers/${name}`,
);
const SPARE_MIB = 64;
const IMAGE_PERCENT = 120;

/**
 * The first program: lays the product's disk over the packages', and memory over both, so that nothing that is not on one of
 * the guest's own disks survives a power cut.
 */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do sleep 0.05; done
mount -t ext4 -o ro,noatime /dev/vda /packages
mount -t ext4 -o ro,noatime /dev/vdb /product
mount -t tmpfs tmpfs /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/product:/packages,upperdir=/memory/upper,workdir=/memory/work overlay /root
umount /proc
umount /sys
mount -o move /dev /root/dev
exec switch_root /root /bin/sh /opt/quorate/guest/qemu.sh
`;
const APPLETS = ['sh', 'mount', 'umount', 'insmod', 'mkdir', 'sleep', 'switch_root'] as const;

export interface GuestImage {
  readonly kernel: string;
  readonly initramfs: string;
  readonly root: string;
  /** As its modules are named. */
  readonly kernelVersion: string;
  /** Of the userland; the modules must be of the same. */
  readonly zfsVersion: string;
}

/** The part of the folder's name that changes when anything does that the image is made of. Pure. */
export function imageKey(inputs: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 12);
}

/** `6.1.0-56-cloud-amd64` of what the package that follows the newest kernel depends on. Pure. */
export function kernelVersionOf(paragraph: string): string {
  const image = dependenciesOf(paragraph).find((name) => name.startsWith('linux-image-'));
  if (image === undefined) throw new Error(`${KERNEL} depends on no kernel`);
  return image.slice('linux-image-'.length);
}

/** Rejects with one sentence when it can neither be found in the cache nor be made. */
export async function guestImage(say: (text: string) => void): Promise<GuestImage> {
  const key = imageKey([PACKAGES, WITHOUT, BOOT_MODULES, NO_HARDWARE, INIT, APPLETS, FILES]);
  const folder = join(cacheFolder(), `qemu-${key}`);
  if (!existsSync(folder)) {
    say(`fetching the guests' packages and making their image in ${folder} (110 MB to fetch, once)`);
    await whole(folder, makeImage);
  }
  const { kernelVersion, zfsVersion } = JSON.parse(
    readFileSync(join(folder, 'versions.json'), 'utf8'),
  ) as Versions;
  const at = (name: string): string => join(folder, name);
  return {
    kernel: at('vmlinuz'),
    initramfs: at('initramfs'),
    root: at('root.img'),
    kernelVersion,
    zfsVersion,
  };
}

type Versions = Pick<GuestImage, 'kernelVersion' | 'zfsVersion'> & { readonly packages: readonly string[] };

async function makeImage(next: string): Promise<void> {
  const [root, debs] = [join(next, 'root'), join(next, 'debs')];
  const debian = await Debian.open(join(next, 'apt'));
  const kernelVersion = kernelVersionOf(await debian.show(KERNEL));
  await debian.downloadAll(PACKAGES, debs);
  await debian.download([`linux-image-${kernelVersion}`], debs);
  await unpack(debs, root, WITHOUT);
  const packages = readdirSync(debs).filter((file) => file.endsWith('.deb'));
  const zfsVersion = versionOf(packages, 'zfsutils-linux');
  copyFileSync(join(root, `boot/vmlinuz-${kernelVersion}`), join(next, 'vmlinuz'));
  await finishRoot(root, kernelVersion);
  await makeInitramfs(root, kernelVersion, join(next, 'initramfs'));
  await makeFileSystem(root, join(next, 'root.img'));
  writeFileSync(
    join(next, 'versions.json'),
    JSON.stringify({ kernelVersion, zfsVersion, packages } satisfies Versions, null, 1),
  );
  for (const folder of ['apt', 'debs', 'root']) rmSync(join(next, folder), { recursive: true });
}

/** Of a package among files named as apt names them: `name_version_architecture.deb`, with %3a for a colon. Pure. */
export function versionOf(files: readonly string[], name: string): string {
  const version = files.find((file) => file.startsWith(`${name}_`))?.split('_')[1];
  if (version === undefined) throw new Error(`no package ${name} among what was downloaded`);
  return decodeURIComponent(version);
}

/** What the packages' own scripts would do in an installation, as far as a guest needs it. */
const FILES: Readonly<Record<string, string>> = {
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n',
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/fstab': '',
  'etc/exports': '',
};

async function finishRoot(root: string, kernelVersion: string): Promise<void> {
  const at = (path: string): string => join(root, path);
  const modules = at(`usr/lib/modules/${kernelVersion}`);
  for (const folder of NO_HARDWARE) rmSync(join(modules, 'kernel', folder), { recursive: true, force: true });
  rmSync(at('boot'), { recursive: true, force: true });
  for (const name of ['passwd', 'group'])
    copyFileSync(at(`usr/share/base-passwd/${name}.master`), at(`etc/${name}`));
  for (const [path, text] of Object.entries(FILES)) writeFileSync(at(path), text);
  for (const folder of [
    'proc',
    'sys',
    'dev',
    'run',
    'tmp',
    'srv/data',
    'etc/drbd.d',
    'var/lib/drbd',
    'usr/local/bin',
  ])
    mkdirSync(at(folder), { recursive: true });
  for (const [link, to] of [
    ['usr/bin/awk', 'gawk'],
    ['usr/bin/sh', 'dash'],
    ['etc/mtab', '/proc/self/mounts'],
  ] as const) {
    rmSync(at(link), { force: true });
    symlinkSync(to, at(link));
  }
  await command(['chroot', root, '/sbin/ldconfig']);
  await command(['chroot', root, '/sbin/depmod', kernelVersion]);
}

/** busybox, and the few modules that stand between the kernel and its root. */
async function makeInitramfs(root: string, kernelVersion: string, file: string): Promise<void> {
  const folder = join(root, '..', 'initramfs.d');
  for (const name of ['bin', 'modules', 'proc', 'sys', 'dev', 'packages', 'product', 'memory', 'root'])
    mkdirSync(join(folder, name), { recursive: true });
  const busybox = join(root, 'usr/bin/busybox');
  cpSync(busybox, join(folder, 'bin/busybox'));
  for (const name of APPLETS) symlinkSync('busybox', join(folder, 'bin', name));
  const shown = await Promise.all(
    BOOT_MODULES.map((name) =>
      command(['chroot', root, '/sbin/modprobe', '-S', kernelVersion, '--show-depends', name]),
    ),
  );
  const paths = modulesShown(shown.join(''));
  for (const path of paths) copyFileSync(join(root, path), join(folder, 'modules', basename(path)));
  writeFileSync(join(folder, 'modules/order'), `${paths.map((path) => basename(path)).join('\n')}\n`);
  writeFileSync(join(folder, 'init'), INIT);
  chmodSync(join(folder, 'init'), 0o755);
  await command(['sh', '-c', 'find . | "$1" cpio -o -H newc >"$2"', 'sh', busybox, `${file}.cpio`], folder);
  writeFileSync(file, gzipSync(readFileSync(`${file}.cpio`), { level: 1 }));
  rmSync(`${file}.cpio`);
  rmSync(folder, { recursive: true });
}

/** The files that `modprobe --show-depends` names, in the order to load them, each once. Pure. */
export function modulesShown(output: string): readonly string[] {
  return [...new Set([...output.matchAll(/^insmod (\S+)/gm)].map(([, path]) => path ?? ''))];
}

/** Without loop mounts: mke2fs copies a folder. */
export async function makeFileSystem(folder: string, image: string): Promise<void> {
  const used = Number((await command(['du', '-sm', folder])).split('\t')[0]);
  const sizeMiB = Math.ceil((used * IMAGE_PERCENT) / 100) + SPARE_MIB;
  // It is only ever read.
  const options = ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', folder];
  await command(['mkfs.ext4', ...options, image, `${sizeMiB}M`]);
}
