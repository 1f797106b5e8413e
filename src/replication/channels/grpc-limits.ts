/** Every limit of the receiving side of the gRPC channel that is not one of a message (grpc-schema.ts), with what happens at it. */
import type { ListenerLimits } from '../../peer/index.ts';

/**
 * Of the listener. The other data node makes a connection for each call, two of them streams at most (transfers.ts), and looks for the port
 * with another one first; who is refused tries again within 0.2 s. This process is not the one that sends heartbeats.
 */
export const REPLICATION_CONNECTIONS = {
  connections: 64,
  perAddress: 16,
  handshakeMs: 5_000,
  handshakes: { perAddress: { burst: 256, perSecond: 64 }, others: { burst: 64, perSecond: 32 } },
  perOwner: 24,
  // A stream that has been on its way for an hour must not end because somebody asks something.
  overOwner: 'newest-ends',
  /** Long enough to be told why not. */
  strangerMs: 5_000,
} as const satisfies ListenerLimits;

/** Of what the other data node asks, over all its connections; more is refused, and asked again in the next round. */
export const REPLICATION_CALLS = {
  streams: 8,
  questions: 8,
  /** Questions and streams together. */
  callsAtOnce: 512,
  callsPerSecond: 64,
  /** From the beginning of a stream to its question. */
  questionMs: 10_000,
} as const;
