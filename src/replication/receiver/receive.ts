/**
 * One `zfs receive`, from its start to the look at what it has made.
 *
 * It ends by itself when its input ends. It is ended by the caller's signal, and by the local agent's word that this sender
 * may not any more; what has arrived by then is kept (-s).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { Clock } from '../../clock.ts';
import { QuorateError } from '../../errors.ts';
import { SHUT_PROPERTIES } from '../../resources/index.ts';
import type { ReceiveEnd } from '../channel.ts';
import type { Verdict } from './authority.ts';
import { failureOf, oneLine } from './failure.ts';
import type { CheckedReceiveOrder } from './orders.ts';
import { RECEIVE_MARK, type Registration } from './registry.ts';
import type { Zfs } from './zfs.ts';

const LIMITS = {
  /** How often the agent is asked whether the sender still may. */
  watchMs: 500,
  /** For so long no answer is borne: an agent that restarts takes over nothing meanwhile, and ends receives when it does. */
  unknownMs: 5000,
  /** From the request to end until it is killed. */
  graceMs: 2000,
  stderrCharacters: 16_384,
} as const;

export interface RunningReceive {
  /** What is to be received; null where it comes by this process's own stdin. */
  readonly input: Writable | null;
  /** Never rejects. */
  readonly ended: Promise<ReceiveEnd>;
  abort(why: string): void;
}

type DatasetKind = 'filesystem' | 'volume';

export interface ReceiveParts {
  readonly dataDir: string;
  readonly zfs: Zfs;
  readonly clock: Clock;
  /** What it is here, or what the sender says that it will be. */
  readonly of: DatasetKind;
  readonly registration: Registration;
  readonly mayGoOn: () => Promise<Verdict>;
}

type Stop = Extract<ReceiveEnd, { kind: 'broken' }>;

/** Throws where `zfs` cannot be started. */
export async function startReceive(
  order: CheckedReceiveOrder,
  stdin: 'inherit' | 'pipe',
  parts: ReceiveParts,
): Promise<RunningReceive> {
  const { dataDir, registration } = parts;
  const child = spawn('zfs', receiveArguments(order.dataset, parts.of), {
    stdio: [stdin, 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', [RECEIVE_MARK]: dataDir },
  });
  // When its input has gone the child says so itself.
  child.stdin?.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new QuorateError('command-missing', `zfs cannot be started: ${cause.message}`, { cause })),
    );
  });
  const running = new Running(order, child, parts);
  try {
    if (child.pid !== undefined) await registration.started(child.pid);
  } catch (error) {
    // Nobody else could end it.
    child.kill('SIGKILL');
    await running.ended;
    throw error;
  }
  return running;
}

/**
 * What a stream may bring with it although ours bring no properties (`zfs send` without -p and -R): where a file system is mounted, to
 * whom it is shown, and what runs from it by whose rights are this node's own. Only what is inheritable stands here: `-x` makes that
 * inherited, and leaves alone what was set here (zfs_setup_cmdline_props of libzfs).
 */
const OF_BOTH = ['snapdev', 'volmode', 'quorate:set-aside', 'quorate:replicate'] as const;
/** libzfs of before refuses a stream of a volume for `-x` of a property that volumes do not have, newer ones warn. */
const OF_FILE_SYSTEMS = [
  ...['mountpoint', 'overlay', 'sharenfs', 'sharesmb', 'setuid', 'devices', 'exec'],
] as const;

const NOT_TAKEN: Readonly<Record<DatasetKind, readonly string[]>> = {
  filesystem: [...OF_FILE_SYSTEMS, ...OF_BOTH],
  volume: OF_BOTH,
};

/**
 * -s: what breaks off can go on. -u: it is not mounted now. `canmount` stays what it is: a takeover mounts what has "on", as the
 * person wants it who has set it; what a boot mounts is read-only, and the agent's first act is to unmount it (L4).
 * What shuts it also says of the process that it is the replication's: a change of roles reads both.
 */
export function receiveArguments(dataset: string, of: DatasetKind): string[] {
  const set = SHUT_PROPERTIES.flatMap((property) => ['-o', property]);
  return ['receive', '-s', '-u', ...set, ...NOT_TAKEN[of].flatMap((property) => ['-x', property]), dataset];
}

class Running implements RunningReceive {
  readonly input: Writable | null;
  readonly ended: Promise<ReceiveEnd>;
  readonly #order: CheckedReceiveOrder;
  readonly #child: ChildProcess;
  readonly #parts: ReceiveParts;
  #stopped: Stop | null = null;
  #stderr = '';

  constructor(order: CheckedReceiveOrder, child: ChildProcess, parts: ReceiveParts) {
    this.#order = order;
    this.#child = child;
    this.#parts = parts;
    this.input = child.stdin;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#stderr.length < LIMITS.stderrCharacters) this.#stderr += text;
    });
    const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    this.ended = this.#run(exited);
  }

  abort(why: string): void {
    this.#stop({ kind: 'broken', code: 'aborted', why });
  }

  #stop(end: Stop): void {
    if (this.#stopped !== null || this.#child.exitCode !== null) return;
    this.#stopped = end;
    this.#child.kill('SIGTERM');
    const { clock } = this.#parts;
    clock.after(LIMITS.graceMs, () => this.#child.kill('SIGKILL'));
  }

  async #run(exited: Promise<number | null>): Promise<ReceiveEnd> {
    const over = new AbortController();
    const watching = this.#watch(over.signal);
    const code = await exited;
    over.abort();
    await watching;
    try {
      return await this.#judge(code);
    } catch (error) {
      const why = `whether it has arrived is not known: ${oneLine(String((error as Error).message ?? error))}`;
      return { kind: 'broken', code: 'stream', why };
    } finally {
      await this.#parts.registration.remove();
    }
  }

  async #judge(code: number | null): Promise<ReceiveEnd> {
    if (code !== 0) {
      if (this.#stopped !== null) return this.#stopped;
      const said = oneLine(this.#stderr);
      if (code === null)
        return {
          kind: 'broken',
          code: 'aborted',
          why: `zfs receive was killed${said === '' ? '' : `: ${said}`}`,
        };
      return {
        kind: 'broken',
        code: failureOf(said),
        why: said === '' ? `zfs receive ended with ${code}` : said,
      };
    }
    const { dataset, snapshot } = this.#order;
    const { zfs } = this.#parts;
    // No caller's signal: what has been received is looked at, whoever still listens.
    const { signal } = new AbortController();
    const there = await zfs.snapshotsOf(dataset, signal);
    if (there?.some(({ name, guid }) => name === snapshot.name && guid === snapshot.guid) !== true)
      return {
        kind: 'broken',
        code: 'stream',
        why: `zfs receive ended well, and ${dataset}@${snapshot.name} with the GUID ${snapshot.guid} is not here`,
      };
    return (await this.#whyOtherKind(signal)) ?? { kind: 'received' };
  }

  /** A sender that says "volume" and sends a file system has had its properties taken: no takeover mounts that. */
  async #whyOtherKind(signal: AbortSignal): Promise<ReceiveEnd | null> {
    const { zfs, of } = this.#parts;
    const { dataset } = this.#order;
    const kind = await zfs.kindOf(dataset, signal);
    if (kind === of) return null;
    if (kind === 'filesystem') await zfs.change(['set', 'canmount=off', dataset], signal);
    const said = `${dataset} was said to be a ${of}, and is ${kind === null ? 'not here' : `a ${kind}`}`;
    const remedy = `: look at its properties, then "zfs set canmount=on ${dataset}"`;
    return { kind: 'broken', code: 'refused', why: `${said}${kind === 'filesystem' ? remedy : ''}` };
  }

  /** Rule 2 of channel.ts, for as long as it runs. */
  async #watch(over: AbortSignal): Promise<void> {
    const { clock, mayGoOn } = this.#parts;
    let knownAt = clock.now();
    while (!over.aborted && this.#stopped === null) {
      await clock.sleep(LIMITS.watchMs, over);
      if (over.aborted) return;
      const verdict = await mayGoOn();
      if (verdict.kind === 'yes') knownAt = clock.now();
      else if (verdict.kind === 'no') this.#stop({ kind: 'broken', code: 'refused', why: verdict.why });
      else if (clock.now() - knownAt > LIMITS.unknownMs)
        this.#stop({
          kind: 'broken',
          code: 'refused',
          why: `the agent here does not answer: ${verdict.why}`,
        });
    }
  }
}
