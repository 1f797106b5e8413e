/**
 * What somebody who looks at the traffic between nodes is told. While nobody does, `isWatched` is false, and that is all
 * that a message costs.
 */
import type { Message, NodeId } from '../core/index.ts';

/** Single calls, and the answers to them. */
export type PeerCallKind = 'released' | 'bootstrap' | 'facts';

export interface SeenMessage {
  readonly direction: 'sent' | 'received';
  readonly peer: NodeId;
  readonly kind: Message['kind'] | PeerCallKind | `${PeerCallKind}-ack` | 'undecoded';
  /** As on the wire, without the framing of gRPC and TLS; null where it was never encoded. */
  readonly bytes: number | null;
  /** Null: it left, or arrived and was understood. Otherwise what became of it, in a few words. */
  readonly outcome: string | null;
  /** Null where the kind says everything that may be shown. */
  readonly message: Message | null;
  /** Of the answer to a single call: since the question left, or arrived. */
  readonly latencyMs: number | null;
}

export interface PeerTap {
  readonly isWatched: boolean;
  /** Asked only while watched. Never throws, never waits. */
  message(seen: SeenMessage): void;
}

/** Of a call that was refused, or not answered, the first words. */
export const OUTCOME_CHARACTERS = 200;
