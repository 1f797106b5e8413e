/** The packages of the quick engine: user-mode Linux, and what its guests have on top of the host's own programs. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, whole } from './cache.ts';
import { Debian, unpack } from './debian.ts';

const ENGINE = ['user-mode-linux'] as const;
const KIT = [
  'drbd-utils',
  'busybox-static',
  'psmisc',
  'iputils-arping',
  'iputils-ping',
  'libndp-tools',
  'libndp0',
] as const;

export interface Unpacked {
  /** The program that is a kernel. */
  readonly kernel: string;
  readonly modules: string;
  /** Laid over the host's root in every guest. */
  readonly kit: string;
}

/** Rejects with one sentence when a package can neither be found in the cache nor be fetched. */
export async function unpackedPackages(say: (text: string) => void): Promise<Unpacked> {
  const folder = join(cacheFolder(), 'uml');
  if (!existsSync(folder)) {
    say(`fetching ${[...ENGINE, ...KIT].join(', ')} into ${folder} (44 MB, once)`);
    await whole(folder, async (next) => {
      const debian = await Debian.open(join(next, 'apt'));
      for (const [name, packages] of [['engine', ENGINE] as const, ['kit', KIT] as const]) {
        await debian.download(packages, join(next, 'debs', name));
        await unpack(join(next, 'debs', name), join(next, name));
      }
      for (const name of ['apt', 'debs']) rmSync(join(next, name), { recursive: true });
    });
  }
  const modules = join(folder, 'engine/usr/lib/uml/modules');
  const [version] = existsSync(modules) ? readdirSync(modules) : [];
  if (version === undefined) throw new Error(`${folder} is not complete: remove it and try again`);
  return {
    kernel: join(folder, 'engine/usr/bin/linux.uml'),
    modules: join(modules, version),
    kit: join(folder, 'kit'),
  };
}
