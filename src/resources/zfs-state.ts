/**
 * Whether a pool is imported, and how it is, from the kernel's own file: a `zpool` or `zfs` that asks about a suspended pool hangs
 * in the kernel, where no signal ends it.
 *
 * 1. The file is there as long as the kernel has the pool, from before the first device is opened until the last one is closed.
 * 2. Where it is not, the pool is away only if the module has no other file of it, or is not there itself: everything else is
 *    unknown (H4, R2). Before 0.8 there was no `state`.
 * 3. With `failmode=continue` a suspended pool does not say so here (`spa_state_to_name`); the doctor does not like it.
 */
import { firstWords } from './command-error.ts';

export type PoolState =
  | { readonly kind: 'imported'; readonly word: PoolWord }
  /** Certainly not imported. */
  | { readonly kind: 'absent'; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string };

const WORDS = {
  ONLINE: 'usable',
  /** A device is missing, and no data. */
  DEGRADED: 'usable',
  /** It waits for a device that is gone. Nothing can be read, written or exported. */
  SUSPENDED: 'broken',
  FAULTED: 'broken',
  UNAVAIL: 'broken',
  OFFLINE: 'broken',
  REMOVED: 'broken',
  SPLIT: 'broken',
  /** Being imported or exported. */
  TRANSITIONING: 'passing',
} as const;

export type PoolWord = keyof typeof WORDS;

/** What can be read of the kernel; both throw what `node:fs` does. */
export interface KernelFiles {
  read(path: string): string;
  /** Without an answer where it cannot be known: throws. */
  has(path: string): boolean;
}

const KSTAT = '/proc/spl/kstat/zfs';
const MODULES = '/sys/module';

export const usability = (word: PoolWord): 'usable' | 'broken' | 'passing' => WORDS[word];

export function readPoolState(pool: string, files: KernelFiles): PoolState {
  try {
    return wordOf(files.read(`${KSTAT}/${pool}/state`));
  } catch (error) {
    if (!isMissing(error)) return cannotRead(error);
  }
  try {
    if (files.has(`${KSTAT}/${pool}`))
      return { kind: 'unknown', why: `the kernel has files of it, and ${KSTAT}/${pool}/state is not there` };
    if (files.has(KSTAT)) return { kind: 'absent', why: 'is not imported' };
    if (!files.has(MODULES)) return { kind: 'unknown', why: `${MODULES} is not there: is this a container?` };
    if (files.has(`${MODULES}/zfs`))
      return { kind: 'unknown', why: `the module zfs is loaded, and ${KSTAT} is not there` };
    return { kind: 'absent', why: 'is not imported, the module zfs is not loaded' };
  } catch (error) {
    return cannotRead(error);
  }
}

function wordOf(text: string): PoolState {
  const word = text.endsWith('\n') ? text.slice(0, -1) : '';
  if (Object.hasOwn(WORDS, word)) return { kind: 'imported', word: word as PoolWord };
  return { kind: 'unknown', why: `the kernel says "${firstWords(text)}" of its state` };
}

const cannotRead = (error: unknown): PoolState => ({
  kind: 'unknown',
  why: `its state cannot be read: ${firstWords(String(error))}`,
});

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
