/**
 * The receiving side, once for all channels: whoever carries an order only says who sent it (by certificate or by key).
 *
 * 1. Nothing is changed for a sender that the local agent does not allow (authority.ts); who cannot be asked has not said yes.
 * 2. Nothing outside the agreed pools is named, read or changed.
 * 3. One receive for a dataset at a time.
 */
import type { Clock } from '../../clock.ts';
import type { Epoch, NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { CommandRunner } from '../../resources/index.ts';
import type { HasDevice } from '../intent-log.ts';
import type { PoolsReading } from '../reading.ts';
import { type Authority, judge, mustBeYes, type Verdict } from './authority.ts';
import { oneLine } from './failure.ts';
import { datasetsOf, epochSchema, receiveOrderSchema, receiverOrderSchema } from './orders.ts';
import { perform, refused } from './perform.ts';
import { type RunningReceive, startReceive, whyNotSeen } from './receive.ts';
import { endReceiveOf, register, registerOrder } from './registry.ts';
import { forgetReceived, rememberReceived } from './remembered.ts';
import { replayLog } from './replay.ts';
import { asidePools, finishOpen, isHeirOf, isRoleOrder, performRole, registerAside } from './roles.ts';
import { type DatasetNow, PropertiesNotUnderstood, Zfs } from './zfs.ts';

export interface ReceiverParts {
  readonly self: NodeId;
  /** Who sends, as its key or certificate proves. */
  readonly peer: NodeId;
  readonly pools: readonly string[];
  readonly dataDir: string;
  readonly authority: Authority;
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  readonly hasDevice: HasDevice;
  /** Reads the agreed pools. */
  read(): Promise<PoolsReading>;
}

/** How long a receive that is left over may take to end before the new one is refused. */
const REPLACE_LIMIT_MS = 5000;

export class Receiver {
  readonly #parts: ReceiverParts;
  readonly #zfs: Zfs;

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
    this.#zfs = new Zfs(parts);
  }

  /**
   * Also while this node holds: then it changes nothing. What a crash has left of a set-aside is finished first: until then a
   * dataset that is only under another name looks as if it were not here, and would be sent anew.
   */
  async read(): Promise<PoolsReading> {
    // Nothing of it could be planned with, and the reading of a large pool would only hold up what it waits for.
    const [busy] = await asidePools(this.#parts.dataDir);
    if (busy !== undefined) {
      const why = `what only this node has of ${busy} is being set aside`;
      return { version: 1, pools: this.#parts.pools.map((name) => ({ kind: 'unknown', name, why })) };
    }
    const first = await this.#parts.read();
    const { signal } = new AbortController();
    const why = new Map<string, string>();
    let isChanged = false;
    for (const { kind, name } of first.pools) {
      if (kind !== 'read') continue;
      const mayChange = (): Promise<void> => this.#requireIdle(signal);
      const finished = await finishOpen(name, { ...this.#parts, signal, mayChange });
      if (finished === 'done') isChanged = true;
      else if (finished !== 'nothing') why.set(name, finished.why);
    }
    const reading = isChanged ? await this.#parts.read() : first;
    const pools = reading.pools.map((pool) => {
      const said = why.get(pool.name);
      return said === undefined
        ? pool
        : { kind: 'unknown' as const, name: pool.name, why: said.slice(0, 1000) };
    });
    return { ...reading, pools };
  }

  /** Throws `replication-refused`, or what `zfs` said. */
  async perform(epoch: unknown, order: unknown, signal: AbortSignal): Promise<void> {
    const checked = valid(receiverOrderSchema, order);
    this.#requireAgreed(datasetsOf(checked));
    const claimed = valid(epochSchema, epoch);
    const mayChange = (): Promise<void> => this.#requireRight(claimed, signal);
    await mayChange();
    const { dataDir, peer } = this.#parts;
    const what = { peer, epoch: claimed };
    const registration =
      checked.kind === 'set-aside'
        ? await registerAside(dataDir, checked.pool, what)
        : await registerOrder(dataDir, { kind: checked.kind, ...what });
    try {
      // Asked again before each change: a takeover that has begun meanwhile waits for one, and for no more.
      if (isRoleOrder(checked)) await performRole(checked, claimed, { ...this.#parts, signal, mayChange });
      else await perform(checked, this.#forSender(claimed, signal), signal);
      if (checked.kind === 'abandon') await this.#forget({ ...what, dataset: checked.dataset }, signal);
    } finally {
      await registration.remove();
    }
  }

  /** What has gone with its stream has no record: whoever seeds a copy of that name meanwhile has no stream of ours to thank for it. */
  async #forget(what: Parameters<typeof register>[1], signal: AbortSignal): Promise<void> {
    const { dataDir } = this.#parts;
    // One that has begun anew has its own record there.
    const registration = await register(dataDir, what);
    if (registration === null) return;
    try {
      if ((await this.#zfs.kindOf(what.dataset, signal)) === null)
        await forgetReceived(dataDir, what.dataset, null);
    } finally {
      await registration.remove();
    }
  }

  /** Resolves once `zfs receive` runs. Throws `replication-refused`, or what `zfs` said. */
  async receive(
    epoch: unknown,
    order: unknown,
    stdin: 'inherit' | 'pipe',
    signal: AbortSignal,
  ): Promise<RunningReceive> {
    const { dataDir, peer, clock } = this.#parts;
    const checked = valid(receiveOrderSchema, order);
    const claimed = valid(epochSchema, epoch);
    const { dataset, replaces } = checked;
    this.#requireAgreed([dataset]);
    const what = { dataset, peer, epoch: claimed };
    if (replaces && (await this.#mayBegin(claimed, signal)))
      await endReceiveOf(dataDir, what, REPLACE_LIMIT_MS, clock);
    const registration = await register(dataDir, what);
    if (registration === null) throw refused(`a receive for ${dataset} runs already`);
    try {
      // After the registration, never before: see registry.ts.
      await this.#requireRight(claimed, signal);
      const now = await this.#stateOf(dataset, signal);
      const kind = now?.kind ?? null;
      if (kind === null && checked.kind === 'incremental')
        throw refused(`${dataset} is not here, and what is to come are only its changes`);
      const of = kind ?? checked.makes;
      if (of === undefined) throw refused(`${dataset} is not here, and nothing of it can go on`);
      if (now !== null && checked.kind !== 'full') await this.#replay(dataset, now, claimed, signal);
      const before = await rememberReceived(dataDir, dataset, now);
      if (signal.aborted) throw refused('it was given up before it began');
      const never = new AbortController().signal;
      const running = await startReceive(checked, stdin, {
        dataDir,
        zfs: this.#zfs,
        clock,
        of,
        now: now?.properties ?? new Map(),
        before,
        zfsForSender: this.#forSender(claimed, never),
        registration,
        mayGoOn: () => this.#ask(claimed, never),
      });
      const onAbort = (): void => running.abort('the sender has given up, or the connection is gone');
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      void running.ended.then(() => signal.removeEventListener('abort', onAbort));
      return running;
    } catch (error) {
      await registration.remove();
      throw error;
    }
  }

  /** A stream that was given up may have left what cannot be told: then nothing goes on, and no takeover mounts it. */
  async #stateOf(dataset: string, signal: AbortSignal): Promise<DatasetNow | null> {
    try {
      return await this.#zfs.stateOf(dataset, signal);
    } catch (error) {
      if (!(error instanceof PropertiesNotUnderstood)) throw error;
      throw refused(await whyNotSeen(error, dataset, this.#zfs, signal));
    }
  }

  async #replay(dataset: string, now: DatasetNow, claimed: Epoch, signal: AbortSignal): Promise<void> {
    const { hasDevice } = this.#parts;
    const isHeir = (): Promise<boolean> => isHeirOf(dataset, claimed, { ...this.#parts, signal });
    await replayLog(dataset, now, { zfs: this.#forSender(claimed, signal), hasDevice, isHeir }, signal);
  }

  /** Asks before each change whether the sender still may. */
  #forSender(claimed: Epoch, signal: AbortSignal): Zfs {
    return new Zfs({ ...this.#parts, mayChange: () => this.#requireRight(claimed, signal) });
  }

  async #requireRight(claimed: Epoch, signal: AbortSignal): Promise<void> {
    const why = mustBeYes(await this.#ask(claimed, signal));
    if (why !== null) throw refused(why);
  }

  async #mayBegin(claimed: Epoch, signal: AbortSignal): Promise<boolean> {
    return (await this.#ask(claimed, signal)).kind === 'yes';
  }

  async #ask(claimed: Epoch, signal: AbortSignal): Promise<Verdict> {
    const { authority, self, peer } = this.#parts;
    return judge(await authority.ask(signal), self, peer, claimed);
  }

  /** Whoever sends: this node neither holds nor may. */
  async #requireIdle(signal: AbortSignal): Promise<void> {
    const { authority, self } = this.#parts;
    const known = await authority.ask(signal);
    if (known.kind === 'unknown') throw refused(`the agent here does not answer: ${known.why}`);
    if (known.mayHold) throw refused(`${self} holds, or may hold, itself`);
  }

  #requireAgreed(datasets: readonly string[]): void {
    const { pools, self } = this.#parts;
    const stranger = datasets.find((dataset) => !pools.includes(dataset.split('/')[0] ?? ''));
    if (stranger !== undefined)
      throw refused(`${stranger} is in none of the pools that ${self} replicates (${pools.join(', ')})`);
  }
}

interface Schema<Value> {
  safeParse(value: unknown):
    | { success: true; data: Value }
    | {
        success: false;
        error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] };
      };
}

function valid<Value>(schema: Schema<Value>, value: unknown): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = issue?.path.map(String).join('.') ?? '';
  const where = at === '' ? '' : `${at} `;
  throw new QuorateError(
    'replication-refused',
    `the order is not valid: ${oneLine(`${where}${issue?.message ?? ''}`)}`,
  );
}
