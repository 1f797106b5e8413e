/** What an agent knows for the status page, to be changed in one place at a time. */
import { nodeId } from '../../../src/core/index.ts';
import type { MetricFacts, PastTakeover, StatusFacts } from '../../../src/http/index.ts';
import { HOLDER } from '../facts.ts';
import { metricFacts } from '../metric-facts.ts';

export const WALL = Date.UTC(2026, 0, 8, 9, 10, 11);
const [a, b, w] = [nodeId('a'), nodeId('b'), nodeId('w')];

const RESOURCES = [
  { name: 'block', kind: 'drbd', probe: 'held', detail: 'role Primary, disk UpToDate' },
  { name: 'srv', kind: 'mount', probe: 'held', detail: '/dev/drbd0 on /srv (xfs)' },
  { name: 'port2', kind: 'port', probe: 'held', detail: 'eth1 is up' },
  { name: 'routes', kind: 'route-table', probe: 'held', detail: 'table 200: default via 10.0.11.1 dev eth1' },
  { name: 'eip', kind: 'elastic-ip', probe: 'held', detail: '198.51.100.7 at eni-46561127' },
  { name: 'nfs', kind: 'service', probe: 'held', detail: 'active' },
] as const;

const step = (name: string, ms: number, result = 'acquired') => ({ name, ms, result });

/** Boot, a switchover, a power cut, a takeover that failed, and one back. */
export const TAKEOVERS: readonly PastTakeover[] = [
  {
    ...{ epoch: 3, node: 'a', from: null, reason: 'boot', grantedAt: '2026-01-02T03:04:05.678Z' },
    ...{ detectMs: null, electMs: 315, grantMs: 52, result: 'ok', totalMs: 88 },
    steps: [step('block', 41), step('port2', 12), step('srv', 22), step('eip', 61), step('nfs', 19)],
  },
  {
    ...{ epoch: 8, node: 'b', from: 'a', reason: 'transfer', grantedAt: '2026-01-03T09:04:05.750Z' },
    ...{ detectMs: 1.5, electMs: 14, grantMs: 13, result: 'ok', totalMs: 96 },
    steps: [step('block', 38), step('port2', 11), step('srv', 24), step('eip', 58), step('nfs', 21)],
  },
  {
    ...{ epoch: 11, node: 'a', from: 'b', reason: 'leader-silent', grantedAt: '2026-01-05T11:04:05.730Z' },
    ...{ detectMs: 1468, electMs: 16, grantMs: 52, result: 'failed', totalMs: 640 },
    steps: [
      step('block', 44),
      step('port2', 12),
      step('srv', 512, 'mount: /dev/drbd0: structure needs cleaning'),
    ],
  },
  {
    ...{ epoch: 18, node: 'b', from: 'a', reason: 'transfer', grantedAt: '2026-01-05T11:04:07.610Z' },
    ...{ detectMs: 2.1, electMs: 17, grantMs: 9, result: 'ok', totalMs: 121 },
    steps: [step('block', 52), step('port2', 14), step('srv', 28), step('eip', 66), step('nfs', 24)],
  },
  {
    ...{ epoch: 23, node: 'a', from: 'b', reason: 'transfer', grantedAt: '2026-01-08T05:01:44.020Z' },
    ...{ detectMs: 1.8, electMs: 15, grantMs: 12, result: 'ok', totalMs: 102 },
    steps: [step('block', 40), step('port2', 12), step('srv', 23), step('eip', 60), step('nfs', 20)],
  },
];

interface Change {
  readonly metrics?: Partial<MetricFacts>;
  readonly status?: Partial<StatusFacts['status']>;
  readonly facts?: Partial<StatusFacts>;
}

/** `a` holds under epoch 8, all is well; as `a` sees it. */
export function statusFacts({ metrics = {}, status = {}, facts = {} }: Change = {}): StatusFacts {
  const node = { zone: 'us-east-1a', matchIndex: 12, standby: false, chain: null, reachable: true };
  const read = metricFacts({
    nodes: [
      { id: a, isInSync: true, isOnStandby: false, isReachable: true, matchIndex: 12 },
      { id: b, isInSync: true, isOnStandby: false, isReachable: true, matchIndex: 12 },
      { id: w, isInSync: null, isOnStandby: false, isReachable: true, matchIndex: 12 },
    ],
    probes: { peers: { b: 'in-sync' }, ioSuspended: false, resources: RESOURCES },
    ...{ role: HOLDER, ...metrics },
  });
  return {
    status: {
      ...{ cluster: 'nas-prod', observer: 'a', term: 3, leader: 'a', holder: 'a', epoch: 8, quorum: true },
      ...{
        paused: false,
        commitIndex: 12,
        chain: null,
        lease: { remainingMs: 412.5 },
        lastTakeover: null,
        scheduled: null,
        warnings: [],
        resync: [],
        replication: [],
      },
      nodes: [
        { ...node, id: 'a', kind: 'data', role: 'leader', inSync: true },
        { ...node, id: 'b', kind: 'data', role: 'follower', inSync: true, zone: 'us-east-1b' },
        { ...node, id: 'w', kind: 'witness', role: 'follower', inSync: null, zone: 'us-east-1c' },
      ],
      resources: RESOURCES.map((one) => ({ ...one })),
      ...status,
    },
    metrics: read,
    tenure: { grantedAt: '2026-01-08T05:01:44.020Z', isTaken: true },
    answering: ['b', 'w'],
    ...{ failedChecks: [], takeovers: TAKEOVERS, wallMs: WALL },
    ...facts,
  };
}
