/** What `/metrics` counts while the agent lives, and what it reads from it at a scrape: nothing is asked of anybody for it. */
import type { CoreEvent, Entry, Instant, NodeId } from '../core/index.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import { type Counted, Histogram, type MetricFacts, type RoleFacts } from '../http/index.ts';
import type { Driver } from './driver.ts';

/** A takeover is 20 ms without a cloud and seconds with a slow one; a write is a disk's sync twice. */
const TAKEOVER_BOUNDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const RELEASE_BOUNDS = [0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 2.5, 5, 10];
const WRITE_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

type Writable<Of> = { -readonly [Key in keyof Of]: Of[Key] };

export class MetricCounts implements Counted {
  readonly elections = new Map<string, number>();
  campaigns = 0;
  roleChanges = 0;
  executorLosses = 0;
  refusalsToHold = 0;
  readonly takeovers: Writable<Counted['takeovers']> = { ok: 0, failed: 0 };
  readonly takeoverSeconds = new Histogram(TAKEOVER_BOUNDS);
  lastTakeover: Counted['lastTakeover'] = null;
  readonly releases: Writable<Counted['releases']> = { planned: 0, abrupt: 0 };
  readonly releaseSeconds = new Histogram(RELEASE_BOUNDS);
  lastRelease: Counted['lastRelease'] = null;
  readonly logWriteSeconds = new Histogram(WRITE_BOUNDS);

  /** Of the log that was there before this process: it counts nothing, and the last takeover is known from it. */
  onRecovered({ body }: Entry): void {
    if (body.kind === 'takeover-done' && body.ok) this.lastTakeover = { ms: body.totalMs, at: body.at };
  }

  onCommitted(entry: Entry): void {
    const { body } = entry;
    this.onRecovered(entry);
    if (body.kind === 'elected') this.elections.set(body.reason, (this.elections.get(body.reason) ?? 0) + 1);
    if (body.kind !== 'takeover-done') return;
    this.takeovers[body.ok ? 'ok' : 'failed'] += 1;
    if (body.ok) this.takeoverSeconds.observe(body.totalMs / 1000);
  }

  onCoreEvent({ event }: CoreEvent): void {
    if (event === 'campaign') this.campaigns += 1;
    if (event === 'role') this.roleChanges += 1;
  }

  /** @param boundMs D, as it is now */
  onExecutorEvent(event: ExecutorEvent, boundMs: number): void {
    if (event.kind === 'gone') this.executorLosses += 1;
    // Without an epoch nothing was held: the first look of an executor is no release.
    if (event.kind !== 'released' || event.epoch === null) return;
    this.releases[event.mode] += 1;
    // A planned one waits for services and may take as long as they like; D bounds the other.
    if (event.mode === 'planned') return;
    this.releaseSeconds.observe(event.ms / 1000);
    this.lastRelease = { ms: event.ms, boundMs };
  }

  /** Beside the write, not around it: who waits for it waits no longer for being measured. */
  timed(write: Promise<void>, now: () => Instant): Promise<void> {
    const began = now();
    void write.then(
      () => this.logWriteSeconds.observe((now() - began) / 1000),
      () => {}, // D3: it ends the process, by whoever waits for it.
    );
    return write;
  }
}

export interface MetricSources {
  readonly driver: Driver;
  readonly role: RoleFacts;
  readonly counted: Counted;
  readonly isUp: (peer: NodeId) => boolean;
  /** Null: nothing read yet. What a lost executor has read says nothing about now. */
  readonly probes: Extract<ExecutorEvent, { kind: 'probes' }> | null;
  readonly failedChecks: readonly string[] | null;
  readonly replication: MetricFacts['replication'];
  readonly pools: MetricFacts['pools'];
  readonly wallMs: number;
}

export function metricFactsOf(sources: MetricSources): MetricFacts {
  const { driver, role, counted, isUp, failedChecks } = sources;
  const { leadership, log, outbox, self, state, timing, commitIndex } = driver.view;
  const isLost = role.executor === 'lost';
  return {
    role,
    index: { commit: commitIndex, last: log.lastIndex, durable: outbox.durableIndex },
    releaseBoundMs: timing.releaseMs,
    promiseMs: timing.promiseMs,
    nodes: log.membership.members.map(({ id, witness }) => ({
      id,
      isInSync: witness ? null : state.inSync.includes(id),
      isOnStandby: state.standby.includes(id),
      isReachable: id === self || isUp(id),
      matchIndex: id === self ? outbox.durableIndex : (leadership?.progress.get(id)?.match ?? null),
    })),
    probes: isLost ? null : sources.probes,
    failedChecks: isLost ? null : (failedChecks?.length ?? null),
    replication: sources.replication,
    pools: sources.pools,
    wallMs: sources.wallMs,
    counted,
  };
}
