/**
 * The shapes that proto-loader makes of peer.proto's messages: plain objects, whole numbers as `number`, an absent
 * message as null, the set member of a oneof named by its group. Protobuf guarantees the types of the fields, never
 * their ranges: codec.ts checks those.
 */
export interface WireProof {
  node: string;
  term: number;
}
export interface WireEntry {
  index: number;
  term: number;
  previous: string;
  hash: string;
  bodyJson: Uint8Array;
}

/** One member per kind of the oneof. */
export interface WireKinds {
  heartbeat: { seq: number; commit: number; renounced: boolean; promiseMs: number };
  heartbeatAck: { seq: number };
  append: {
    previousIndex: number;
    previousTerm: number;
    previousHash: string;
    entries: WireEntry[];
    commit: number;
    renounced: boolean;
    promiseMs: number;
  };
  appendAck: {
    success: boolean;
    match: number;
    conflictIndex: number;
    conflictTerm: number;
    healed?: { markerIndex: number; markerTerm: number } | null;
  };
  preVote: {
    nextTerm: number;
    round: number;
    lastIndex: number;
    lastTerm: number;
    caretaker: boolean;
    proof?: WireProof | null;
    adopt?: number | null;
  };
  preVoteAck: { round: number; granted: boolean; retryAfterMs?: number | null };
  vote: {
    lastIndex: number;
    lastTerm: number;
    caretaker: boolean;
    reason: string | number;
    proof?: WireProof | null;
    adopt?: number | null;
  };
  voteAck: { candidateTerm: number; granted: boolean };
  timeoutNow: { proof?: WireProof | null };
  released: { epoch: number; evidence: string };
  renounced: object;
}

export interface WireMessage extends Partial<WireKinds> {
  cluster: string;
  from: string;
  to: string;
  term: number;
  /** Set by the decoder: which of the kinds is there. */
  kind?: keyof WireKinds;
}

export interface WireBootstrap {
  cluster: string;
  from: string;
  entry?: WireEntry | null;
}

export interface WireFactsRequest {
  cluster: string;
  from: string;
  pools?: boolean;
}

export interface WireFacts {
  cluster: string;
  node: string;
  version: string;
  nodeVersion: string;
  config: Record<string, string>;
  wallMs: number;
  fitness?: { ok: boolean; why: string } | null;
  hostId: string;
  pools?: string;
}

export interface WirePairRequest {
  cluster: string;
  from: string;
  publicKey: string;
  hostKeys: string[];
  dryRun: boolean;
}

export interface WirePairAnswer {
  cluster: string;
  node: string;
  publicKey: string;
  hostKeys: string[];
  changes: string[];
}
