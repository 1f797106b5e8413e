/** Every limit of the transport (style 12), with what happens at it. */
export const LIMITS = {
  /** Larger messages are not sent, and end the stream when received. */
  messageBytes: 1024 * 1024,
  /** Entries in one append; more are refused. */
  appendEntries: 512,
  /** A statement's evidence; the rest is cut off by the sender. */
  evidenceCharacters: 4096,
  hashCharacters: 128,
  durationMs: 3_600_000,
  /** What a node says about itself: parts of its config, and the length of each text; more is refused. */
  factsParts: 32,
  factsCharacters: 128,
  /** Why it could take over, or not; the rest is cut off by the sender. */
  fitnessCharacters: 500,
  /** What its pools hold, packed; more is refused. Room is left for the rest of the message. */
  poolsCharacters: 1_048_576 - 16 * 1024,
  /** What two nodes say of each other when they pair: keys, and sentences; more is refused. */
  keyCharacters: 8192,
  keyTexts: 32,
  /** Heartbeats waiting in a stream; more are dropped, because a stale heartbeat is worse than none (L1). */
  queuedHeartbeats: 4,
  /** Other messages waiting in a stream; more are dropped, the core retransmits. */
  queuedMessages: 256,
  /** Likewise; a queue below it takes one more message, of whatever size. */
  queuedBytes: 4 * 1024 * 1024,
} as const;

/** Of the listener (tls-listener.ts). A node keeps two connections to each other one, and a few calls beside them. */
export const CONNECTION_LIMITS = {
  connections: 128,
  perAddress: 32,
  handshakeMs: 5_000,
  /** About 2 ms of the thread that sends heartbeats each, on a slow core. Who is refused tries again within 0.2 s. */
  handshakes: { perAddress: { burst: 64, perSecond: 32 }, others: { burst: 64, perSecond: 32 } },
  perOwner: 32,
  overOwner: 'oldest-ends',
  /** Long enough to be told why not. */
  strangerMs: 10_000,
} as const;

/** Every time of the transport, in ms. */
export const TIMES = {
  /** Back-off between connection attempts, and between streams that were refused. */
  backoffMinMs: 50,
  backoffMaxMs: 200,
  /** While a TCP connection is not made, another attempt starts every so often: a lost SYN costs a second. */
  knockEveryMs: 200,
  knockLimitMs: 1000,
  /** From a TCP connection to the peer's consent, plus some round trips; see PATIENCE of the dialer. */
  handshakeMs: 250,
  handshakeRoundTrips: 8,
  /** A connection is probed when quiet for this long, and given up when a probe is unanswered for as long again. */
  keepaliveMs: 1000,
  /**
   * Likewise for the stream of appends, whose own probes cover only a network that lets the other connection of the same peer
   * through: where that one fails, this one is dialled anew with it. Every probe wakes both nodes three times.
   */
  appendsKeepaliveMs: 5000,
  /** A server forgets a connection whose client is gone without a word; the client's next stream replaces it long before. */
  serverKeepaliveMs: 20_000,
  /** A stream that lived so long was not refused: it is reopened at once. */
  settledMs: 1000,
} as const;
