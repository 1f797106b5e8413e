/**
 * What `/metrics` says: facts → families. Pure. Seconds, whatever the agent counts in; what is not known now is left out rather
 * than 0. `docs/metrics.md`, the dashboard and the alert rules are checked against these names.
 */
import type { NodeId } from '../core/index.ts';
import type { PoolCopyFacts } from '../pool-copies.ts';
import type { Family, HistogramCounts } from './exposition.ts';
import { counter, gauge, known, knownMs, named, seconds, states } from './families.ts';
import { type DatasetReplication, poolLagFamily, replicationFamilies } from './replication-metrics.ts';
import { CHECKS, decide } from './role-checks.ts';
import type { RoleFacts, RoleName } from './role-facts.ts';

export interface MetricFacts {
  readonly role: RoleFacts;
  readonly index: { readonly commit: number; readonly last: number; readonly durable: number };
  /** D and P, as the log's timing has them. */
  readonly releaseBoundMs: number;
  readonly promiseMs: number;
  readonly nodes: readonly {
    readonly id: NodeId;
    /** Null for the witness. */
    readonly isInSync: boolean | null;
    readonly isOnStandby: boolean;
    readonly isReachable: boolean;
    /** Null where only the leader knows it. */
    readonly matchIndex: number | null;
  }[];
  /** Null: the executor has read nothing yet, or is gone. */
  readonly probes: {
    readonly peers: Readonly<Record<string, 'in-sync' | 'not-in-sync' | 'unknown'>>;
    readonly ioSuspended: boolean;
    readonly resources: readonly {
      readonly name: string;
      readonly kind: string;
      readonly probe: 'held' | 'not-held' | 'unknown';
    }[];
  } | null;
  /** Of the executor's own checks; null: it has told none yet, or is gone. */
  readonly failedChecks: number | null;
  readonly counted: Counted;
  /** Of the snapshots that this node sends; none where it does not. */
  readonly replication: readonly DatasetReplication[];
  /** Pools that snapshots keep alike, as this node knows of them. */
  readonly pools: readonly PoolCopyFacts[];
  /** Now, by the clock on the wall: as the names of snapshots are. */
  readonly wallMs: number;
}

/** Since this process began. */
export interface Counted {
  readonly elections: ReadonlyMap<string, number>;
  readonly campaigns: number;
  readonly roleChanges: number;
  readonly executorLosses: number;
  readonly refusalsToHold: number;
  readonly takeovers: { readonly ok: number; readonly failed: number };
  readonly takeoverSeconds: HistogramCounts;
  readonly lastTakeover: { readonly ms: number; readonly at: number | null } | null;
  readonly releases: { readonly planned: number; readonly abrupt: number };
  readonly releaseSeconds: HistogramCounts;
  readonly lastRelease: { readonly ms: number; readonly boundMs: number } | null;
  readonly logWriteSeconds: HistogramCounts;
}

/** What does not change while the process runs. */
export interface ProcessFacts {
  readonly version: string;
  readonly nodeVersion: string;
  /** Ends of their validity, in ms since 1970. */
  readonly certificates: {
    readonly node: number;
    readonly ca: number;
    /** Why the files as they are now are not used; null where they are. */
    readonly refused: string | null;
  };
}

const ROLES: readonly RoleName[] = ['leader', 'caretaker', 'follower', 'candidate', 'damaged'];
const DISKS: readonly RoleFacts['disk'][] = ['up-to-date', 'failed', 'unknown'];
const LOGS: readonly RoleFacts['log'][] = ['works', 'damaged', 'stalled', 'failed'];
const EXECUTORS: readonly RoleFacts['executor'][] = ['ready', 'releasing', 'unverified', 'lost'];
const LINKS = ['in-sync', 'not-in-sync', 'unknown'] as const;
const PROBES = ['held', 'not-held', 'unknown'] as const;

export function metricsOf(facts: MetricFacts, process: ProcessFacts): Family[] {
  return [
    ...roleFamilies(facts.role),
    ...logFamilies(facts),
    ...nodeFamilies(facts),
    ...storageFamilies(facts),
    ...changeFamilies(facts.counted),
    ...replicationFamilies(facts.replication, facts.wallMs),
    poolLagFamily(facts.pools, facts.wallMs),
    gauge('quorate_release_bound_seconds', 'D: what an abrupt release may take at most.', [
      seconds(facts.releaseBoundMs),
    ]),
    gauge('quorate_promise_seconds', 'P: for how long a follower promises its vote to the leader.', [
      seconds(facts.promiseMs),
    ]),
    gauge(
      'quorate_doctor_failed_checks',
      'Checks of the own executor that stand in the way of a takeover.',
      known(facts.failedChecks),
    ),
    gauge(
      'quorate_certificate_expiry_timestamp_seconds',
      'End of the validity of the certificates that this process uses.',
      [
        { labels: { certificate: 'node' }, value: process.certificates.node / 1000 },
        { labels: { certificate: 'ca' }, value: process.certificates.ca / 1000 },
      ],
    ),
    gauge(
      'quorate_certificate_files_refused',
      '1 while the TLS files are not those that this process uses, because they could not be used.',
      [{ value: Number(process.certificates.refused !== null) }],
    ),
    gauge('quorate_build_info', 'Always 1; the labels say what runs.', [
      { labels: { version: process.version, node_version: process.nodeVersion }, value: 1 },
    ]),
  ];
}

function roleFamilies(role: RoleFacts): Family[] {
  const answers = CHECKS.map((check) => decide(check, role).answer);
  const [answer] = answers;
  return [
    gauge('quorate_role', "1 for this node's role, 0 for the others.", states('role', ROLES, role.role)),
    gauge(
      'quorate_role_check',
      'What the role check of that name answers now: 1 yes, 0 no.',
      answers.map(({ check, ok }) => ({ labels: { check }, value: Number(ok) })),
    ),
    gauge('quorate_term', 'Term of this node.', [{ value: role.term }]),
    gauge(
      'quorate_leader_info',
      '1 for the leader that this node knows; none where it has not heard one within the lease.',
      named('leader', answer?.leader ?? null),
    ),
    gauge(
      'quorate_holder_info',
      '1 for the holder by the log that is committed here; none while nobody holds.',
      named('holder', answer?.holder ?? null),
    ),
    gauge('quorate_epoch', 'Epoch of the open tenure.', known(answer?.epoch ?? null)),
    gauge(
      'quorate_lease_remaining_seconds',
      'Until the end of the own lease; only on a leader with a valid one.',
      knownMs(answer?.lease.remainingMs ?? null),
    ),
    gauge(
      'quorate_leader_contact_age_seconds',
      'Since the last message of the leader that is followed.',
      knownMs(role.following === null ? null : role.now - role.following.heardAt),
    ),
    gauge('quorate_paused', '1 while nobody takes over and nothing moves, by the word of an operator (H7).', [
      { value: Number(role.isPaused) },
    ]),
    gauge('quorate_degraded_resources', 'What the own tenure goes on without (H6).', [
      { value: role.degraded.length },
    ]),
    gauge(
      'quorate_executor_state',
      'State of the executor as the agent sees it.',
      states('state', EXECUTORS, role.executor),
    ),
  ];
}

function logFamilies({ role, index, counted }: MetricFacts): Family[] {
  const { entries } = decide('health', role).answer.lag;
  return [
    gauge('quorate_log_state', 'State of the own log.', states('state', LOGS, role.log)),
    gauge('quorate_commit_index', 'Last entry that is known here to be committed.', [
      { value: index.commit },
    ]),
    gauge('quorate_log_last_index', 'Last entry of the own log.', [{ value: index.last }]),
    gauge('quorate_log_durable_index', 'Last entry that is on the own disk.', [{ value: index.durable }]),
    gauge(
      'quorate_log_lag_entries',
      'Committed entries of the leader that are missing here.',
      known(entries),
    ),
    {
      ...{ kind: 'histogram', name: 'quorate_log_write_duration_seconds', counts: counted.logWriteSeconds },
      help: 'Writes of the log, from the order until both syncs are done.',
    },
  ];
}

function nodeFamilies({ nodes }: MetricFacts): Family[] {
  return [
    gauge(
      'quorate_node_in_sync',
      '1 for each data node in the committed in-sync set, 0 for each that is not.',
      nodes.flatMap(({ id, isInSync }) =>
        isInSync === null ? [] : [{ labels: { node: id }, value: Number(isInSync) }],
      ),
    ),
    gauge(
      'quorate_node_standby',
      '1 for each data node that an operator has put on standby, 0 for the others.',
      nodes.flatMap(({ id, isInSync, isOnStandby }) =>
        isInSync === null ? [] : [{ labels: { node: id }, value: Number(isOnStandby) }],
      ),
    ),
    gauge(
      'quorate_node_reachable',
      'Whether both streams to that node are up; 1 for this node.',
      nodes.map(({ id, isReachable }) => ({ labels: { node: id }, value: Number(isReachable) })),
    ),
    gauge(
      'quorate_node_match_index',
      'Last entry that the node is known to have on its disk; of others only on the leader.',
      nodes.flatMap(({ id, matchIndex }) =>
        matchIndex === null ? [] : [{ labels: { node: id }, value: matchIndex }],
      ),
    ),
  ];
}

function storageFamilies({ role, probes }: MetricFacts): Family[] {
  const peers = Object.entries(probes?.peers ?? {});
  return [
    gauge(
      'quorate_local_disk_state',
      'State of the own replicated data, as the executor last read it.',
      role.kind === 'witness' ? [] : states('state', DISKS, role.disk),
    ),
    gauge(
      'quorate_replication_link_state',
      'State of the replication to that node, as the own block layer shows it.',
      peers.flatMap(([peer, state]) => states('state', LINKS, state, { peer })),
    ),
    gauge(
      'quorate_io_suspended',
      '1 while the block layer keeps writes back until the other node is known to be out.',
      probes === null ? [] : [{ value: Number(probes.ioSuspended) }],
    ),
    gauge(
      'quorate_resource_state',
      'What the executor last found of each resource on this node.',
      (probes?.resources ?? []).flatMap(({ name, kind, probe }) =>
        states('state', PROBES, probe, { resource: name, kind }),
      ),
    ),
  ];
}

function changeFamilies(counted: Counted): Family[] {
  const { lastTakeover, lastRelease } = counted;
  return [
    counter('quorate_elections_total', 'Elections that this process has seen committed, of any node.', [
      ...[...counted.elections].map(([reason, value]) => ({ labels: { reason }, value })),
    ]),
    counter('quorate_campaigns_total', 'Times that this node stood for election.', [
      { value: counted.campaigns },
    ]),
    counter('quorate_role_changes_total', 'Changes of the own role.', [{ value: counted.roleChanges }]),
    counter('quorate_executor_losses_total', 'Times that the executor was lost.', [
      { value: counted.executorLosses },
    ]),
    counter('quorate_refusals_to_hold_total', 'Times that this node led and could not take a tenure.', [
      { value: counted.refusalsToHold },
    ]),
    counter('quorate_takeovers_total', 'Takeovers that this process has seen end, of any node.', [
      { labels: { result: 'ok' }, value: counted.takeovers.ok },
      { labels: { result: 'failed' }, value: counted.takeovers.failed },
    ]),
    {
      ...{ kind: 'histogram', name: 'quorate_takeover_duration_seconds', counts: counted.takeoverSeconds },
      help: 'Takeovers that succeeded, from the grant until everything was there.',
    },
    gauge(
      'quorate_last_takeover_duration_seconds',
      'The last takeover that succeeded, also from before this process began.',
      knownMs(lastTakeover?.ms ?? null),
    ),
    gauge(
      'quorate_last_takeover_timestamp_seconds',
      'When it ended, by the wall clock of its node.',
      knownMs(lastTakeover?.at ?? null),
    ),
    counter('quorate_releases_total', 'Releases of the own tenures.', [
      { labels: { mode: 'planned' }, value: counted.releases.planned },
      { labels: { mode: 'abrupt' }, value: counted.releases.abrupt },
    ]),
    {
      ...{ kind: 'histogram', name: 'quorate_release_duration_seconds', counts: counted.releaseSeconds },
      help: 'Abrupt releases of the own tenures, which D bounds.',
    },
    gauge(
      'quorate_last_release_duration_seconds',
      'The last abrupt release of an own tenure.',
      knownMs(lastRelease?.ms ?? null),
    ),
    gauge(
      'quorate_last_release_margin_seconds',
      'What it left of D; below 0 it took too long.',
      knownMs(lastRelease === null ? null : lastRelease.boundMs - lastRelease.ms),
    ),
  ];
}

// --- how they are written ---
