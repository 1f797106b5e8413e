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
import type { NamedSnapshot, ReceiveEnd } from '../channel.ts';
import type { Verdict } from './authority.ts';
import { failureOf, oneLine } from './failure.ts';
import { changedBy, type DatasetKind, type PropertiesNow, receiveArguments } from './not-taken.ts';
import type { CheckedReceiveOrder } from './orders.ts';
import { Here, settle } from './perform.ts';
import { RECEIVE_MARK, type Registration } from './registry.ts';
import { forgetReceived } from './remembered.ts';
import { type DatasetNow, PropertiesNotUnderstood, type SnapshotNow, type Zfs } from './zfs.ts';

const LIMITS = {
  /** How often the agent is asked whether the sender still may. */
  watchMs: 500,
  mostWatchMs: 2000,
  /** A pause is so many times as long as the question before it took. */
  share: 10,
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

export interface ReceiveParts {
  readonly dataDir: string;
  readonly zfs: Zfs;
  readonly clock: Clock;
  /** What it is here, or what the sender says that it will be. */
  readonly of: DatasetKind;
  /** Those of `NOT_TAKEN`, of what is here. */
  readonly now: PropertiesNow;
  /** What they are compared with afterwards (remembered.ts). */
  readonly before: PropertiesNow;
  /** Whose changes ask for the sender's right first. */
  readonly zfsForSender: Zfs;
  readonly registration: Registration;
  readonly mayGoOn: () => Promise<Verdict>;
}

function remedyFor(dataset: string, of: DatasetKind | null): string {
  const look = `look at "zfs get -s received all ${dataset}", "zfs inherit" what is not yours`;
  return of === 'filesystem' ? `${look}, then "zfs set canmount=on ${dataset}"` : look;
}

type Stop = Extract<ReceiveEnd, { kind: 'broken' }>;

/** Throws where `zfs` cannot be started. */
export async function startReceive(
  order: CheckedReceiveOrder,
  stdin: 'inherit' | 'pipe',
  parts: ReceiveParts,
): Promise<RunningReceive> {
  const { dataDir, registration } = parts;
  const child = spawn('zfs', receiveArguments(order.dataset, parts.of, parts.now), {
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

/** What was brought cannot be told: mounted by no takeover either, until somebody has looked. */
export async function whyNotSeen(
  { message }: PropertiesNotUnderstood,
  dataset: string,
  zfs: Zfs,
  signal: AbortSignal,
): Promise<string> {
  // Asked by itself: what a sender says that it is, it need not be.
  const kind = await zfs.kindOf(dataset, signal);
  if (kind === 'filesystem') await zfs.change(['set', 'canmount=off', dataset], signal);
  return `${oneLine(message)}: ${remedyFor(dataset, kind)}`;
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
    // A takeover waits for the end of this: what has come by then is looked at by the next stream (remembered.ts). Where it was only
    // the sender that went away there is time, and who brings something may go away to keep it from being seen.
    if (code !== 0 && this.#stopped?.code === 'refused') return this.#stopped;
    // No caller's signal: what has been received is looked at, whoever still listens.
    const { signal } = new AbortController();
    if (code !== 0) return this.#whyNotWhole(code, signal);
    const { dataset, snapshot, before = [] } = this.#order;
    // First, and whatever else there is to be said: what it has brought needs a person, what is missing the next stream brings.
    const why = await this.#whyNotAsItWas(signal);
    if (why !== null) return why;
    const there = (await this.#parts.zfs.snapshotsOf(dataset, signal)) ?? [];
    const isThere = (wanted: NamedSnapshot): boolean =>
      there.some(({ name, guid }) => name === wanted.name && guid === wanted.guid);
    const missing = [...before, snapshot].find((one) => !isThere(one));
    if (missing === undefined) return this.#settle(there, signal);
    return {
      kind: 'broken',
      code: 'stream',
      why: `zfs receive ended well, and ${dataset}@${missing.name} with the GUID ${missing.guid} is not here`,
    };
  }

  /** Of a run something may have come whole, with what it has brought. */
  async #whyNotWhole(code: number | null, signal: AbortSignal): Promise<ReceiveEnd> {
    const said = oneLine(this.#stderr);
    const end: ReceiveEnd =
      this.#stopped ??
      (code === null
        ? { kind: 'broken', code: 'aborted', why: `zfs receive was killed${said === '' ? '' : `: ${said}`}` }
        : {
            kind: 'broken',
            code: failureOf(said),
            why: said === '' ? `zfs receive ended with ${code}` : said,
          });
    // Where that cannot be found out, the next stream finds it.
    const brought = await this.#whyNotAsItWas(signal, true).catch(() => null);
    return brought ?? end;
  }

  /** As the order `hold` after it, without another process on either side. */
  async #settle(there: readonly SnapshotNow[], signal: AbortSignal): Promise<ReceiveEnd> {
    const { dataset, snapshot, letGo } = this.#order;
    if (letGo === undefined) return { kind: 'received' };
    try {
      const here = new Here(new Map([[dataset, there]]));
      await settle(snapshot, letGo, here, this.#parts.zfsForSender, signal);
      return { kind: 'received' };
    } catch (error) {
      const why = `@${snapshot.name} has arrived, and is not known to be held: ${oneLine(String((error as Error).message ?? error))}`;
      return { kind: 'broken', code: 'refused', why };
    }
  }

  /** Both read by one command, after the stream. `mayBeNothing`: it has not come whole, and may have made nothing. */
  async #whyNotAsItWas(signal: AbortSignal, mayBeNothing = false): Promise<ReceiveEnd | null> {
    const { dataset } = this.#order;
    let now: DatasetNow | null;
    try {
      now = await this.#parts.zfs.stateOf(dataset, signal);
    } catch (error) {
      if (!(error instanceof PropertiesNotUnderstood)) throw error;
      // The record stays: the next stream compares with what was before.
      return {
        kind: 'broken',
        code: 'refused',
        why: await whyNotSeen(error, dataset, this.#parts.zfs, signal),
      };
    }
    const why =
      now === null && mayBeNothing
        ? null
        : ((await this.#whyOtherKind(now?.kind ?? null, signal)) ??
          (await this.#whyNotAsBefore(now, signal)));
    await forgetReceived(this.#parts.dataDir, dataset, now);
    return why;
  }

  /** A sender that says "volume" and sends a file system has had its properties taken: no takeover mounts that. */
  async #whyOtherKind(kind: DatasetKind | null, signal: AbortSignal): Promise<ReceiveEnd | null> {
    const { zfs, of } = this.#parts;
    const { dataset } = this.#order;
    if (kind === of) return null;
    if (kind === 'filesystem') await zfs.change(['set', 'canmount=off', dataset], signal);
    const said = `${dataset} was said to be a ${of}, and is ${kind === null ? 'not here' : `a ${kind}`}`;
    const remedy = `: look at its properties, then "zfs set canmount=on ${dataset}"`;
    return { kind: 'broken', code: 'refused', why: `${said}${kind === 'filesystem' ? remedy : ''}` };
  }

  /** Rule 2 of not-taken.ts. The snapshot is here, and whoever has looked says so by `canmount`: the next stream finds what is then. */
  async #whyNotAsBefore(now: DatasetNow | null, signal: AbortSignal): Promise<ReceiveEnd | null> {
    const { zfs, of, before } = this.#parts;
    const { dataset } = this.#order;
    const { brought, gone } = changedBy(before, now?.properties ?? new Map());
    if (brought.length + gone.length === 0) return null;
    if (of === 'filesystem') await zfs.change(['set', 'canmount=off', dataset], signal);
    const what = [
      ...(brought.length === 0 ? [] : [`brought ${brought.join(', ')}`]),
      ...(gone.length === 0 ? [] : [`taken away ${gone.join(', ')}`]),
    ];
    const why = `the stream has ${what.join(' and ')} of ${dataset}, which are this node's own: ${remedyFor(dataset, of)}`;
    return { kind: 'broken', code: 'refused', why };
  }

  /** Rule 2 of channel.ts, for as long as it runs. */
  async #watch(over: AbortSignal): Promise<void> {
    const { clock, mayGoOn } = this.#parts;
    let knownAt = clock.now();
    let tookMs = 0;
    while (!over.aborted && this.#stopped === null) {
      // On a slow host the questions would take the processor from the stream: a tenth of the time at most, and in time for `unknownMs`.
      const pauseMs = Math.min(Math.max(LIMITS.watchMs, LIMITS.share * tookMs), LIMITS.mostWatchMs);
      await clock.sleep(pauseMs, over);
      if (over.aborted) return;
      const askedAt = clock.now();
      const verdict = await mayGoOn();
      tookMs = clock.now() - askedAt;
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
