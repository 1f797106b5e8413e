/** `quorate audit --json`: what the log says happened, and where it breaks a rule. Null where it is not known. */

export interface AuditTerm {
  readonly term: number;
  readonly leader: string;
  readonly electedAt: string | null;
  readonly reason: string;
  readonly votes: readonly string[];
  readonly detectMs: number | null;
  readonly electMs: number;
}

export interface AuditTenure {
  readonly epoch: number;
  readonly node: string;
  readonly grantedAt: string | null;
  readonly releasedAt: string | null;
  /**
   * Why it ended: the release's reason; "expired" where no release is in the log and a later election has outlived
   * its promise (L2); null while it runs.
   */
  readonly reason: string | null;
  /**
   * From this tenure's release to the next grant, on the wall clocks of the nodes that wrote the two entries: for
   * people only (T3). Null while there is no next grant, and where no release is known.
   */
  readonly gapMs: number | null;
}

export const VIOLATIONS = {
  'chain-broken': 'an entry does not have the hash of its content, or not the hash before it (D1)',
  'index-gap': 'indexes do not run from 1 without a gap',
  'term-falls': 'a term is lower than the one before it',
  'no-first-config': 'the first entry does not say who the members are (H7)',
  'config-in-sync-late': 'a later config entry sets the in-sync set, which only the first may (H7)',
  'membership-jump': 'more than one member changed in one step (E5)',
  'id-reused': 'a removed node id came back (E5)',
  'term-without-election': 'a term starts without the entry that says who was elected (E4)',
  'elected-twice': 'a second election entry in one term (E4)',
  'two-leaders': 'two leaders in one term',
  'elected-by-stranger': 'the leader or a vote is not of a voter',
  'elected-without-quorum': 'fewer votes than a majority of the voters',
  'witness-not-caretaker': 'a witness was elected as more than a caretaker (W2)',
  'granted-by-other': "a tenure was granted to another than its term's leader (H1)",
  'granted-to-non-holder': 'a tenure was granted to a witness, a learner or a stranger (H1, W1)',
  'granted-out-of-sync': 'a tenure was granted to a node outside the in-sync set (H1, H3)',
  'granted-while-paused': 'a tenure was granted while the cluster was paused (H7)',
  'granted-on-standby': 'a tenure was granted to a node on standby',
  'granted-twice': 'a second tenure in one term (R2)',
  'tenures-overlap': 'a tenure was granted while another of the same term was still open',
  'request-done-twice': "an operator's request was done again, by the id that its caller gave",
  'switchover-begun-twice': 'a scheduled switchover was begun a second time',
  'release-unknown': 'a release of an epoch that was never granted',
  'release-by-other': "a release that names another node than the epoch's holder",
  'adoption-without-restart':
    'a tenure was adopted without a restart that announced it, or by another node (L7)',
  'takeover-unknown': 'a takeover result of an epoch that was never granted, or of another node',
} as const;

export type ViolationKind = keyof typeof VIOLATIONS;

export interface AuditViolation {
  readonly index: number;
  /** Null for what cannot be read at all. */
  readonly term: number | null;
  readonly kind: ViolationKind;
  readonly what: string;
}

/** What was asked for, and how much of the log lies outside. */
export interface AuditWindowStatement {
  readonly since: string | null;
  readonly until: string | null;
  readonly node: string | null;
  readonly leftOut: Readonly<Record<'entries' | 'terms' | 'tenures' | 'operators', number>>;
}

export interface AuditDocument {
  /** Only where less than the whole log was asked for. `chain` and `violations` are always of the whole. */
  readonly window?: AuditWindowStatement;
  readonly chain: { readonly ok: boolean; readonly head: string; readonly entries: number };
  readonly terms: readonly AuditTerm[];
  readonly tenures: readonly AuditTenure[];
  /** Overrides among them, with what they gave up, and why where they changed nothing (O3). */
  readonly operators: readonly { readonly index: number; readonly who: string; readonly action: string }[];
  readonly violations: readonly AuditViolation[];
}
