/** What the product reads out of the words of a command that has failed. Everything else in them is ZFS's own business. */
import { failureOf } from '../../src/replication/receiver/index.ts';
import type { Step } from './step.ts';

/** A step was done, or refused, in words that the product understands so. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly by: 'zfs' | 'sender' | 'receiver'; readonly reading: string };

export const DONE: Outcome = { kind: 'done' };

/** As in src/replication: engine/local-pool.ts, receiver/perform.ts, roles/set-aside.ts. */
const READ: Partial<Record<Step['kind'], readonly RegExp[]>> = {
  hold: [/tag already exists/],
  release: [/no such tag|does not exist/],
  bookmark: [/bookmark exists/],
  'destroy-bookmark': [/does not exist/],
  'destroy-snapshots': [/could not find any snapshots/, /dependent clones/],
};

/** Of several names each line counts (says-only.ts); of a destroy the whole. */
const BY_LINES: ReadonlySet<Step['kind']> = new Set(['hold', 'release', 'bookmark', 'destroy-bookmark']);

export function readingOf(step: Step, stderr: string): string {
  const patterns = READ[step.kind] ?? [];
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const isIn = (pattern: RegExp): boolean =>
    BY_LINES.has(step.kind)
      ? lines.length > 0 && lines.every((line) => pattern.test(line))
      : pattern.test(stderr);
  return patterns.find(isIn)?.source ?? 'something';
}

export function refusedBy(step: Step, by: 'zfs' | 'sender' | 'receiver', stderr: string): Outcome {
  switch (by) {
    case 'zfs':
      return { kind: 'refused', by, reading: readingOf(step, stderr) };
    case 'sender':
      return { kind: 'refused', by, reading: 'something' };
    case 'receiver':
      return { kind: 'refused', by, reading: failureOf(stderr) };
  }
}
