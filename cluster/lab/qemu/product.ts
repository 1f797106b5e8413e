/** A disk that all guests of a lab read: Node.js of this machine, the product as it is built, ZFS's modules where they are. */
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LabPlan } from '../engine.ts';
import { makeFileSystem } from './image.ts';

/** Not in the bundles (`external` in scripts/build.mjs). */
const PACKAGES = ['classic-level'] as const;
const isWanted = (path: string): boolean =>
  !path.endsWith('.map') && !/\/prebuilds\/(?!linux-x64)./.test(path);

export async function makeProductDisk(lab: LabPlan, zfs: string | null, image: string): Promise<void> {
  const content = join(lab.folder, 'product');
  const top = join(content, 'opt/quorate');
  mkdirSync(join(top, 'bin'), { recursive: true });
  const copy = (from: string, to: string): void =>
    cpSync(from, join(top, to), { recursive: true, dereference: true, filter: isWanted });
  copy(process.execPath, 'bin/node');
  copy(lab.dist, 'dist');
  copy(join(lab.checkout, 'proto'), 'proto');
  copy(join(lab.checkout, 'package.json'), 'package.json');
  copy(join(lab.checkout, 'cluster/lab/guest'), 'guest');
  for (const name of withDependencies(join(lab.checkout, 'node_modules'), PACKAGES))
    copy(join(lab.checkout, 'node_modules', name), `node_modules/${name}`);
  if (zfs !== null) copy(zfs, 'zfs');
  await makeFileSystem(content, image);
  rmSync(content, { recursive: true });
}

function withDependencies(folder: string, names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    const text = readFileSync(join(folder, name, 'package.json'), 'utf8');
    const { dependencies = {} } = JSON.parse(text) as { dependencies?: Readonly<Record<string, string>> };
    for (const needed of Object.keys(dependencies)) add(needed);
  };
  for (const name of names) add(name);
  return found;
}
