/** What a lab needs of this machine. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { whyNoNetwork } from '../network/index.ts';
import { cacheFolder, unpackedPackages } from './packages.ts';

/** Program to the Debian package that has it. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  'mkfs.ext4': 'e2fsprogs',
};
/** Only as long as the packages are not in the cache. */
const FETCHERS: Readonly<Record<string, string>> = { 'apt-get': 'apt', 'dpkg-deb': 'dpkg' };

/** Null where a lab can run; else one sentence with the remedy. */
export async function whyNoLab(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return 'the lab needs Linux on x86-64: its kernel is built for that';
  if (process.getuid?.() !== 0)
    return 'the lab needs root, for network namespaces and taps: run it with sudo';
  const needed = existsSync(cacheFolder()) ? PROGRAMS : { ...PROGRAMS, ...FETCHERS };
  const missing = Object.entries(needed).filter(([program]) => !isInstalled(program));
  if (missing.length > 0) {
    const [programs, packages] = [missing.map(([program]) => program), missing.map(([, name]) => name)];
    return `the lab needs ${programs.join(', ')}: apt-get install ${packages.join(' ')}`;
  }
  if (!existsSync('/dev/net/tun'))
    return 'the lab needs /dev/net/tun: modprobe tun, or mkdir -p /dev/net && mknod /dev/net/tun c 10 200';
  return whyNoNetwork();
}

/** Null where the guests' packages are unpacked, or could be fetched now. */
export async function whyNoPackages(): Promise<string | null> {
  try {
    await unpackedPackages(() => undefined);
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
