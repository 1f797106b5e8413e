/**
 * What the executor must remember over its own death: `executor-state.json` in the data directory.
 *
 * 1. `releasedEpoch`: this epoch and every older one are dead for ever (R2, O1). Durable before a release is reported.
 * 2. `begunEpoch`: a tenure was begun; a successor that finds it greater than `releasedEpoch` has released it unseen.
 *    Written before the first action: it must survive our process. After a power cut the older file is as good, because
 *    the epoch is dead anyway: the agent lost its term too.
 * 3. `isArmed`: the watchdog ticks, and only we may close it. What was armed before this boot does not: opening it "to close
 *    it" would arm one that cannot be closed (`nowayout`) on a host that holds nothing.
 * 4. `isOfEarlierBoot`, which the file says by its boot id: the kernel that began the tenure has gone, and all that it did with it.
 * Replaced as a whole (durable-file.ts), checked by a digest; an unreadable file is an error, never a fresh start.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../durable-file.ts';
import { QuorateError } from '../errors.ts';

export interface ExecutorState {
  readonly releasedEpoch: number;
  readonly begunEpoch: number;
  readonly begunTerm: number;
  readonly isArmed: boolean;
  readonly isOfEarlierBoot: boolean;
}

export const FRESH_STATE: ExecutorState = {
  releasedEpoch: 0,
  begunEpoch: 0,
  begunTerm: 0,
  isArmed: false,
  isOfEarlierBoot: false,
};

const VERSION = 1;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * For a release in an emergency, where the file is damaged: what is held must be given up all the same, and nothing can
 * begin under it. Whether a watchdog ticks is not known either: it is closed as if one did.
 */
export function forgetfulState(): Pick<StateFile, 'state' | 'update'> {
  return { state: { ...FRESH_STATE, isArmed: true }, update: async () => undefined };
}

export class StateFile {
  readonly #path: string;
  #state: ExecutorState;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, state: ExecutorState) {
    this.#path = path;
    this.#state = state;
  }

  static open(dataDir: string): StateFile {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const path = join(dataDir, 'executor-state.json');
    return new StateFile(path, readState(path));
  }

  /** Null where the file is damaged or cannot be read: nothing may begin then. */
  static openWhole(dataDir: string): StateFile | null {
    try {
      return StateFile.open(dataDir);
    } catch (error) {
      if (error instanceof QuorateError && error.code === 'executor-state-damaged') return null;
      throw error;
    }
  }

  get state(): ExecutorState {
    return this.#state;
  }

  /**
   * Known to us at once; resolves when it is in the file, and `durable` when it would survive a power cut. Without that a
   * power cut leaves this state or the one before, whole.
   */
  update(change: Partial<Omit<ExecutorState, 'isOfEarlierBoot'>>, how: 'written' | 'durable'): Promise<void> {
    const isOfEarlierBoot = this.#state.isOfEarlierBoot && change.begunEpoch === undefined;
    this.#state = { ...this.#state, ...change, isOfEarlierBoot };
    const writing = this.#writing.then(() => replaceFile(this.#path, encode(this.#state), how));
    this.#writing = writing.catch(() => undefined);
    return writing;
  }
}

function readState(path: string): ExecutorState {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return FRESH_STATE;
    throw new QuorateError('executor-state-damaged', `${path} cannot be read`, { cause: error });
  }
  const state = decode(text);
  if (state === null)
    throw new QuorateError('executor-state-damaged', `${path} has a bad format or checksum`);
  return state;
}

function encode(state: ExecutorState): string {
  const { releasedEpoch, begunEpoch, begunTerm, isArmed } = state;
  const body = { version: VERSION, releasedEpoch, begunEpoch, begunTerm, isArmed, boot: bootId() };
  return `${JSON.stringify({ ...body, checksum: checksum(body) })}\n`;
}

function decode(text: string): ExecutorState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { checksum: claimed, ...body } = value as Record<string, unknown>;
  // Files of older versions have no `boot`: what they say is armed may be.
  const { version, releasedEpoch, begunEpoch, begunTerm, isArmed, boot = null } = body;
  if (claimed !== checksum(body) || version !== VERSION) return null;
  if (!isCount(releasedEpoch) || !isCount(begunEpoch) || !isCount(begunTerm)) return null;
  if (typeof isArmed !== 'boolean') return null;
  const isOfEarlierBoot = boot !== null && bootId() !== null && boot !== bootId();
  return { releasedEpoch, begunEpoch, begunTerm, isArmed: isArmed && !isOfEarlierBoot, isOfEarlierBoot };
}

function bootId(): string | null {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim() || null;
  } catch {
    return null;
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function checksum(body: Record<string, unknown>): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16);
}
