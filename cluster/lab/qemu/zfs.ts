/**
 * ZFS for the guests' kernel. Debian ships its source only, so its modules are built here, once for each kernel and version of
 * ZFS (4 to 5 minutes on two cores), from unpacked packages.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { cacheFolder, whole } from '../cache.ts';
import { command, Debian, dependenciesOf, fieldOf, unpack } from '../debian.ts';
import type { GuestImage } from './image.ts';

const BUILD_LIMIT_MS = 3_600_000;
/** Whoever works here is not to wait for it. */
const NICE = ['nice', '-n', '10'] as const;

const folderOf = ({ kernelVersion, zfsVersion }: GuestImage): string =>
  join(cacheFolder(), `zfs-${zfsVersion}-${kernelVersion}`);

/** Where the modules are, with the file `order`; null: not built. */
export function zfsModules(image: GuestImage): string | null {
  const folder = folderOf(image);
  return existsSync(folder) ? folder : null;
}

export async function buildZfs(image: GuestImage, say: (text: string) => void): Promise<void> {
  const folder = folderOf(image);
  if (existsSync(folder)) return say(`the ZFS modules are built: ${folder}`);
  const { kernelVersion, zfsVersion } = image;
  say(`building the modules of ZFS ${zfsVersion} for Linux ${kernelVersion} (about 5 minutes, once)`);
  await whole(folder, async (next) => {
    const root = join(next, 'root');
    await fetchSources(image, next, root);
    const built = await build(root, kernelVersion);
    keepModules(built, next);
    await command(['strip', '--strip-debug', ...modulesIn(next).map((file) => join(next, file))]);
    rmSync(root, { recursive: true });
  });
  say(`they are in ${folder}`);
}

async function fetchSources(image: GuestImage, next: string, root: string): Promise<void> {
  const debian = await Debian.open(join(next, 'apt'));
  const headers = `linux-headers-${image.kernelVersion}`;
  const paragraph = await debian.show(headers).catch(() => {
    throw new Error(
      `the mirror has no ${headers} any more: remove ${cacheFolder()} to take the newer kernel`,
    );
  });
  const source = fieldOf(await debian.show('zfs-dkms'), 'Version');
  if (source !== image.zfsVersion)
    throw new Error(
      `the mirror has ZFS ${source}, the guests have ${image.zfsVersion}: remove ${cacheFolder()} to take the newer one`,
    );
  const needed = dependenciesOf(paragraph).filter((name) => /^linux-(headers|kbuild)-/.test(name));
  await debian.download([headers, ...needed, 'zfs-dkms'], join(next, 'debs'));
  await unpack(join(next, 'debs'), root);
  for (const name of ['apt', 'debs']) rmSync(join(next, name), { recursive: true });
}

/**
 * As zfs-dkms would, but for the paths: the headers name places in /usr/src, where nothing is installed. Resolves with where
 * the modules are.
 */
async function build(root: string, kernelVersion: string): Promise<string> {
  const sources = join(root, 'usr/src');
  const headers = join(sources, `linux-headers-${kernelVersion}`);
  const name = readdirSync(sources).find((one) => /^linux-headers-.*-common$/.test(one)) ?? '';
  const common = join(sources, name);
  writeFileSync(join(headers, 'Makefile'), `include ${common}/Makefile\n`);
  const variables = join(headers, '.kernelvariables');
  writeFileSync(variables, readFileSync(variables, 'utf8').replaceAll('/usr/src/', `${sources}/`));
  const zfs = join(sources, readdirSync(sources).find((one) => one.startsWith('zfs-')) ?? '');
  const where = [`--with-linux=${common}`, `--with-linux-obj=${headers}`];
  const configure = ['./configure', '--prefix=/usr', '--with-config=kernel', ...where];
  await command([...NICE, ...configure], zfs, BUILD_LIMIT_MS);
  await command([...NICE, 'make', '-s', `-j${availableParallelism()}`], zfs, BUILD_LIMIT_MS);
  // Beside it, `configure` has left a hundred modules that it only tried.
  return join(zfs, 'module');
}

function keepModules(built: string, folder: string): void {
  const found = readdirSync(built, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ko'),
  );
  for (const path of found) copyFileSync(join(built, path), join(folder, basename(path)));
  const needs = new Map(
    modulesIn(folder).map(
      (file) => [file.replace(/\.ko$/, ''), neededBy(readFileSync(join(folder, file)))] as const,
    ),
  );
  writeFileSync(join(folder, 'order'), `${loadOrder(needs).join('\n')}\n`);
}

const modulesIn = (folder: string): readonly string[] =>
  readdirSync(folder).filter((file) => file.endsWith('.ko'));

/** The names in a module's own `depends=`. Pure. */
export function neededBy(module: Buffer): readonly string[] {
  const field = /(?:^|\0)depends=([^\0]*)\0/.exec(module.toString('latin1'))?.[1] ?? '';
  return field.split(',').filter(Boolean);
}

/** Each after those that it needs; what is not among them is the kernel's. Pure. */
export function loadOrder(needs: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const order: string[] = [];
  const add = (name: string): void => {
    if (order.includes(name) || !needs.has(name)) return;
    for (const needed of needs.get(name) ?? []) add(needed);
    order.push(name);
  };
  for (const name of [...needs.keys()].sort()) add(name);
  return order;
}
