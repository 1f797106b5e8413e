/**
 * One node of the commit benchmark, a process of its own: real core, log and peers; its executor holds nothing, so that
 * only consensus is measured. Also the round trip of one message on a long-lived stream.
 */
import { once } from 'node:events';
import { Driver } from '../../src/agent/driver.ts';
import { systemClock } from '../../src/clock.ts';
import {
  deriveTiming,
  type Entry,
  instant,
  type Message,
  type NodeId,
  nodeId,
  type Released,
} from '../../src/core/index.ts';
import { LogStore, sha256 } from '../../src/log/index.ts';
import { PeerTransport, type TlsMaterial } from '../../src/peer/index.ts';
import { DiskWork, quantile, SAMPLES, timed } from './floor.ts';

export interface NodeTask {
  readonly id: string;
  readonly directory: string;
  readonly members: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  readonly first: Entry;
}

export interface DiskFloor {
  readonly batch: number;
  readonly sync: number;
}
export interface CommitReport {
  readonly commit: { readonly p50: number; readonly p99: number };
  readonly floor: DiskFloor & { readonly roundTrip: number };
  /** The 10th percentile of both: what is left of them on a machine that others keep busy. */
  readonly low: { readonly commit: number; readonly floor: number };
}

const WARM_UP = 600;
/** The floors and the commits take turns, so that a machine that is busy for a while is busy for all of them. */
const TURNS = 12;
const COMMIT_LIMIT_MS = 5_000;

class BenchNode {
  readonly #task: NodeTask;
  readonly #self: NodeId;
  readonly #transport: PeerTransport;
  #driver: Driver | null = null;
  #onEcho: (() => void) | null = null;

  constructor(task: NodeTask) {
    this.#task = task;
    this.#self = nodeId(task.id);
    const quiet = { info: () => {}, warn: () => {} };
    this.#transport = new PeerTransport({
      self: this.#self,
      cluster: 'bench',
      listen: task.members[task.id] ?? '',
      tls: task.tls,
      onMessage: (message) => this.#onMessage(message),
      onStatement: (_: Released) => {},
      onBootstrap: () => Promise.resolve(),
      onLink: () => {},
      logger: quiet,
    });
  }

  async start(): Promise<void> {
    const { directory, members, first } = this.#task;
    const { store, recovered } = await LogStore.open(directory, { digest: sha256 });
    await this.#transport.start();
    this.#transport.setPeers(new Map(Object.entries(members).map(([id, address]) => [nodeId(id), address])));
    const timing = deriveTiming({
      heartbeatMs: 100,
      leaseMs: 400,
      releaseMs: 100,
      guardMs: 25,
      watchdogTimeoutMs: null,
      clockErrorRate: 0.005,
    });
    const driver = new Driver({
      clock: systemClock,
      core: {
        self: this.#self,
        digest: sha256,
        seed: process.pid,
        timing,
        recovered,
        bootedAt: instant(Number(process.hrtime.bigint()) / 1e6),
      },
      store,
      executor: {
        arm: () => {},
        disarm: () => {},
        take: () => {},
        renew: () => {},
        handOver: () => {},
        bind: () => {},
        adopt: () => {},
        release: (epoch, mode) =>
          setImmediate(() =>
            driver.onExecutorEvent({
              kind: 'released',
              epoch,
              mode,
              ms: 0,
              evidence: 'nothing is ever held here',
            }),
          ),
      },
      send: (message) => this.#transport.send(message),
      fence: null,
      whyNotUnwatched: () => null,
      onRefusedToHold: () => {},
      onCommitted: () => {},
      onEvent: (event) => {
        if (event.event === 'role' && event.role === 'leader') process.send?.({ kind: 'leader' });
      },
      onStep: () => {},
      onFatal: (error) => {
        throw error;
      },
    });
    this.#driver = driver;
    driver.input({ kind: 'bootstrap', entry: first });
  }

  async diskFloor(): Promise<DiskFloor> {
    const disk = await DiskWork.open(this.#task.directory);
    const batch = await disk.batches(SAMPLES);
    const sync = await disk.syncs(SAMPLES);
    await disk.close();
    return { batch: quantile(batch, 0.5), sync: quantile(sync, 0.5) };
  }

  /** Commits of one note each, one after the other, in turns with the floors on the same disk and the same streams. */
  async measure(): Promise<CommitReport> {
    const driver = this.#driver;
    if (driver === null) throw new Error('not started');
    const disk = await DiskWork.open(this.#task.directory);
    const commit = (index: number) => driver.commit({ kind: 'note', text: `note ${index}` }, COMMIT_LIMIT_MS);
    await timed(WARM_UP, () => this.#roundTrip());
    await timed(WARM_UP, commit);
    const times = {
      batch: [] as number[],
      sync: [] as number[],
      roundTrip: [] as number[],
      commit: [] as number[],
    };
    for (let turn = 0; turn < TURNS; turn += 1) {
      const samples = SAMPLES / TURNS;
      times.batch.push(...(await disk.batches(samples)));
      times.sync.push(...(await disk.syncs(samples)));
      times.roundTrip.push(...(await timed(samples, () => this.#roundTrip())));
      times.commit.push(...(await timed(samples, commit)));
    }
    await disk.close();
    const median = (of: keyof typeof times) => quantile(times[of], 0.5);
    const low = (of: keyof typeof times) => quantile(times[of], 0.1);
    return {
      commit: { p50: median('commit'), p99: quantile(times.commit, 0.99) },
      floor: { batch: median('batch'), sync: median('sync'), roundTrip: median('roundTrip') },
      low: { commit: low('commit'), floor: low('batch') + low('sync') + low('roundTrip') },
    };
  }

  /** A refused pre-vote of a term long past: a message each way, and nothing else happens. */
  async #roundTrip(): Promise<void> {
    const to = Object.keys(this.#task.members).find((id) => id !== this.#task.id) ?? '';
    const answered = new Promise<void>((resolve) => {
      this.#onEcho = resolve;
    });
    const zero = { round: ECHO_ROUND, nextTerm: 0, lastIndex: 0, lastTerm: 0 };
    // The driver's own kind of message, made here because it must not pass through a core.
    this.#transport.send({
      kind: 'pre-vote',
      from: this.#self,
      to: nodeId(to),
      term: 0,
      caretaker: false,
      proof: null,
      ...zero,
    } as Message);
    await answered;
  }

  #onMessage(message: Message): void {
    if (message.kind === 'pre-vote-ack' && message.round === ECHO_ROUND) return this.#onEcho?.();
    this.#driver?.input({ kind: 'message', message });
  }
}

/** A round that no campaign of a short benchmark reaches. */
const ECHO_ROUND = 1_000_000;

export async function runNode(): Promise<void> {
  process.send?.({ kind: 'up' });
  const [task] = (await once(process, 'message')) as [NodeTask];
  const node = new BenchNode(task);
  await node.start();
  process.on('message', (order: { kind: string }) => {
    const work = order.kind === 'measure' ? node.measure() : node.diskFloor();
    work.then(
      (report) => process.send?.({ kind: order.kind === 'measure' ? 'report' : 'floor', report }),
      (error: unknown) => process.send?.({ kind: 'failed', why: String(error) }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
