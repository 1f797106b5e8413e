/** Facts of the nodes of a healthy cluster, to be changed in one place at a time. */
import { epoch, instant, nodeId, term } from '../../src/core/index.ts';
import type { RoleFacts } from '../../src/http/index.ts';

export const NOW = 50_000;
export const L = 600;
export const G = 25;
const P = 1_642;

const [a, b] = [nodeId('a'), nodeId('b')];

/** `a` holds under epoch 8, with 412.5 ms of its lease left. */
export const HOLDER: RoleFacts = {
  node: a,
  kind: 'data',
  isVoter: true,
  role: 'leader',
  term: term(3),
  now: instant(NOW),
  leaseMs: L,
  guardMs: G,
  leaseUntil: instant(NOW + 412.5),
  following: null,
  promise: { to: null, until: instant(NOW - 9_000) },
  tenure: { node: a, epoch: epoch(8) },
  held: { epoch: epoch(8), isComplete: true },
  isInSync: true,
  disk: 'up-to-date',
  behind: null,
  log: 'works',
  executor: 'ready',
  degraded: [],
  isPaused: false,
  isOnStandby: false,
  isEnding: false,
};

/** `b` heard `a` 40 ms ago. */
export const STANDBY: RoleFacts = {
  ...HOLDER,
  node: b,
  role: 'follower',
  leaseUntil: null,
  following: { leader: a, heardAt: instant(NOW - 40) },
  promise: { to: a, until: instant(NOW - 40 + P) },
  held: null,
  behind: 0,
};

export const WITNESS: RoleFacts = { ...STANDBY, node: nodeId('w'), kind: 'witness', isInSync: null };

/** Before the first entry of a log. */
export const NEW: RoleFacts = {
  ...STANDBY,
  kind: null,
  isVoter: false,
  term: term(0),
  following: null,
  promise: { to: null, until: instant(NOW + P) },
  tenure: null,
  isInSync: null,
  behind: null,
};
