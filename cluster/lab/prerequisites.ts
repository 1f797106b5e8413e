/** What a lab needs of this machine. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { whyNoNetwork } from '../network/index.ts';
import type { EngineName } from './engine.ts';
import { engineNamed } from './engines.ts';
import { isOnZfs, type StorageName } from './plan.ts';
import { guestImage, zfsModules } from './qemu/index.ts';

type Programs = Readonly<Record<string, string>>;

/** Program to the Debian package that has it; the same as in scripts/setup.sh. */
const PROGRAMS: Programs = { ip: 'iproute2', nft: 'nftables', 'mkfs.ext4': 'e2fsprogs' };
const ENGINE_PROGRAMS: Readonly<Record<EngineName, Programs>> = {
  uml: {},
  qemu: { 'qemu-system-x86_64': 'qemu-system-x86' },
};
const BUILDERS: Programs = { gcc: 'gcc', make: 'make', bc: 'bc', strip: 'binutils' };

/** Null where a lab can run; else one sentence with the remedy. */
export async function whyNoLab(engine: EngineName): Promise<string | null> {
  const why = whyNotHere('the lab', { ...PROGRAMS, ...ENGINE_PROGRAMS[engine] });
  if (why !== null) return why;
  if (!existsSync('/dev/net/tun'))
    return 'the lab needs /dev/net/tun: modprobe tun, or mkdir -p /dev/net && mknod /dev/net/tun c 10 200';
  return whyNoNetwork();
}

/** Null where the guests can have it. */
export async function whyNoStorage(
  storage: StorageName,
  say: (text: string) => void,
): Promise<string | null> {
  if (!isOnZfs(storage) || zfsModules(await guestImage(say)) !== null) return null;
  return 'the modules of ZFS are not built for the guests: scripts/lab build-zfs, about 5 minutes';
}

/** Null where ZFS's modules can be built. */
export const whyNoZfsBuild = (): string | null => whyNotHere('the build of ZFS', BUILDERS);

function whyNotHere(what: string, needed: Programs): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `${what} needs Linux on x86-64: its kernel is built for that`;
  if (process.getuid?.() !== 0)
    return `${what} needs root, for namespaces, taps and the owners of files: run it with sudo`;
  const missing = Object.entries(needed).filter(([program]) => !isInstalled(program));
  if (missing.length === 0) return null;
  const [programs, packages] = [missing.map(([program]) => program), missing.map(([, name]) => name)];
  return `${what} needs ${programs.join(', ')}: apt-get install ${packages.join(' ')}`;
}

/** Null where the guests' packages are unpacked, or could be fetched now. */
export async function whyNoPackages(engine: EngineName): Promise<string | null> {
  try {
    await engineNamed(engine, () => undefined);
    return null;
  } catch (error) {
    return `the lab's packages cannot be had: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function isInstalled(program: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
