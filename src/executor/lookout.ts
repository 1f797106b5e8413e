/**
 * What the executor looks at and looks after, once a second and when something changes: probes and their report (H4), repairs of
 * a tenure, what a holder repeats, and what a node that does not hold must not have (R2).
 */
import type { Timer } from '../clock.ts';
import { timeoutSignal } from '../clock.ts';
import { type Epoch, type Instant, instant, type NodeId } from '../core/index.ts';
import type { OwnDisk, PeerData, ProbeResult, Resource } from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';
import type { GuardReport, LogLevel } from './guard-protocol.ts';
import type { Guard } from './guard-proxy.ts';
import { Observer } from './observer.ts';
import type { PlanPerformerOptions } from './plan-performer.ts';
import { clip, type SentEvent, words } from './protocol.ts';
import { Reconciler, type Repair } from './reconciler.ts';
import { Refresher } from './refresher.ts';

export const PROBE_LIMIT_MS = 3000;
const REPORT_MS = 1000;
/** What a change of interfaces and addresses may show. */
const NETWORK_KINDS: ReadonlySet<Resource['kind']> = new Set(['port', 'virtual-ip', 'route-table']);
const NETWORK_PAUSE_MS = 100;
/** Whatever keeps putting it there: a release is not free. */
const TIDY_EVERY_MS = 10_000;
const REFUSED_AGAIN_MS = 1000;

/** What may be done at this moment, asked right before. */
export type Duty =
  /** A tenure holds everything, and is not being given up. */
  | { readonly kind: 'tenure'; readonly epoch: Epoch; readonly repair: Repair }
  /** Nothing is held, and an agent is there: nothing may be. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'none' };

export interface LookoutOptions extends Pick<PlanPerformerOptions, 'cloud' | 'clock'> {
  readonly graph: readonly (PlanResource & { readonly kind: Resource['kind'] })[];
  readonly guard: Guard;
  readonly otherDataNodes: readonly NodeId[];
  readonly hasReplication: boolean;
  readonly duty: () => Duty;
  /** Whoever is connected, to be compared only. */
  readonly agent: () => unknown;
  readonly send: (event: SentEvent) => void;
  /** H6: repairs of a resource do not last. */
  readonly onStuck: (name: string, count: number, why: string) => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export class Lookout {
  readonly #options: LookoutOptions;
  readonly #observer: Observer;
  readonly #reconciler: Reconciler;
  readonly #refresher: Refresher;
  #timer: Timer | null = null;
  #tidyAt: Instant = instant(0);
  #networkPause: Timer | null = null;
  #hasNetworkNews = false;

  constructor(options: LookoutOptions) {
    this.#options = options;
    this.#observer = new Observer(
      options.graph.map(({ name, kind }) => ({ name, kind, probe: (isFresh) => this.#probe(name, isFresh) })),
      options.clock,
      {
        peers: this.#peersUnread(options.otherDataNodes),
        disk: options.hasReplication ? 'unknown' : 'up-to-date',
      },
    );
    this.#refresher = new Refresher({ ...options, onTrouble: () => this.onNetwork() });
    this.#reconciler = new Reconciler({
      ...options,
      observer: this.#observer,
      repairer: () => {
        const duty = options.duty();
        return duty.kind === 'tenure' ? duty.repair : null;
      },
      onProbes: () => this.#sendProbes(),
    });
  }

  /** Without a replicated device there is nothing that could be out of sync. */
  #peersUnread(ids: readonly NodeId[]): Record<NodeId, PeerData> {
    return Object.fromEntries(ids.map((id) => [id, this.#options.hasReplication ? 'unknown' : 'in-sync']));
  }

  /** Until they are read, nothing is known of them. */
  setOthers(ids: readonly NodeId[]): void {
    this.#observer.peers = this.#peersUnread(ids);
  }

  start(): void {
    this.#timer = this.#options.clock.after(REPORT_MS, () => {
      this.start();
      this.look();
      this.#tidy();
      const duty = this.#options.duty();
      this.#refresher.look(duty.kind === 'tenure' ? duty.epoch : null);
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#networkPause?.cancel();
  }

  look(): void {
    void this.#reconciler.look();
  }

  probeSoon(): void {
    this.#observer.probeSoon();
  }

  setHolding(isHolding: boolean): void {
    this.#observer.setHolding(isHolding);
  }

  onData(report: Extract<GuardReport, { kind: 'data' }>): void {
    if (this.#options.hasReplication) {
      // The guard's own words for nodes that come from the config.
      this.#observer.peers = report.peers as Record<NodeId, PeerData>;
      this.#observer.disk = report.disk as OwnDisk;
      this.#observer.ioSuspended = report.ioSuspended;
    }
    this.#observer.probeSoon();
    this.look();
  }

  /** While a takeover or a release makes these changes itself, nobody looks over its shoulder. */
  onNetwork(): void {
    if (this.#options.duty().kind === 'none') return;
    if (this.#networkPause !== null) {
      this.#hasNetworkNews = true;
      return;
    }
    this.#hasNetworkNews = false;
    // One look for all that happens at once, and one more for what happened meanwhile.
    this.#networkPause = this.#options.clock.after(NETWORK_PAUSE_MS, () => {
      this.#networkPause = null;
      if (this.#hasNetworkNews) this.onNetwork();
    });
    this.#observer.probeSoon(NETWORK_KINDS);
    this.look();
  }

  #probe(name: string, isFresh: boolean): Promise<ProbeResult> {
    const { guard, cloud, clock } = this.#options;
    const resource = cloud.get(name);
    const unknown = (error: unknown): ProbeResult => ({ probe: 'unknown', detail: words(error) });
    if (resource === undefined)
      return guard.ask({ op: 'probe', name, isFresh, limitMs: PROBE_LIMIT_MS }).catch(unknown);
    const limit = timeoutSignal(clock, PROBE_LIMIT_MS);
    return resource
      .probe({ deadline: instant(clock.now() + PROBE_LIMIT_MS), signal: limit.signal })
      .catch(unknown)
      .finally(limit.cancel);
  }

  #sendProbes(): void {
    const { observations, peers, disk, ioSuspended } = this.#observer;
    const resources = observations.map((observation) => ({
      ...observation,
      detail: clip(observation.detail, observations.length),
    }));
    this.#options.send({ kind: 'probes', resources, peers: { ...peers }, disk, ioSuspended });
  }

  /** What a node that does not hold finds held on itself is given up: a firewall that was reloaded, a service that was started. */
  #tidy(): void {
    const { graph, guard, clock, duty, log } = this.#options;
    if (duty().kind !== 'idle' || clock.now() < this.#tidyAt) return;
    const { present } = this.#observer;
    const left = graph.filter(({ name, scope }) => scope === 'local' && present.has(name));
    if (left.length === 0) return;
    // mark: tidied
    this.#tidyAt = instant(clock.now() + TIDY_EVERY_MS);
    const why = `${left.map(({ name }) => name).join(', ')} read as held on a node that does not hold`;
    log('error', { event: 'held-without-tenure', why });
    // L3: until it is verified that nothing is held, this node votes for nobody.
    this.#options.send({ kind: 'unverified', why: clip(why) });
    const agent = this.#options.agent();
    // Another agent is told by the answer to its own hello.
    const ready = (evidence: string): void => {
      if (this.#options.agent() === agent) this.#options.send({ kind: 'ready', evidence: clip(evidence) });
    };
    void guard
      .ask({ op: 'verify', why })
      .then(
        ({ evidence }) => ready(evidence),
        (error: unknown) => {
          // Refused: this node goes on voting for nobody until it is verified.
          log('warn', { event: 'tidy-failed', why: words(error) });
          this.#tidyAt = instant(clock.now() + REFUSED_AGAIN_MS);
        },
      )
      .finally(() => this.#observer.probeSoon());
  }
}
