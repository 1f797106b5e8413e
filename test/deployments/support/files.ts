import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The text of a file of the repository. */
export const text = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

/** Paths of all files below a folder of the repository whose name ends so. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort();
}
