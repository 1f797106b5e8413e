/** What the kernel says in its own files. */
import { readFileSync, statSync } from 'node:fs';
import type { KernelFiles } from '../resources/index.ts';

export const kernelFiles: KernelFiles = {
  read: (path) => readFileSync(path, 'utf8'),
  has: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
};
