/**
 * How long an answer took, seen from here: from the question that left until its answer came, or from the question that
 * came until its answer left. Only questions seen since somebody looks are known; of the rest there is no latency, and
 * none is guessed. A question asked again, word for word, counts from the last time.
 */
import type { Instant, Message } from '../core/index.ts';
import type { ExecutorEvent, Greeting, OrderText, Renewal } from '../executor/index.ts';
import type { Direction } from './kinds.ts';

/** Questions that are remembered; of more the oldest is forgotten. */
const MOST_OPEN = 512;

type Line = OrderText | Renewal | ExecutorEvent | Greeting;

export class Latencies {
  readonly #askedAt = new Map<string, Instant>();

  clear(): void {
    this.#askedAt.clear();
  }

  /** Ms, where this is the answer to something; null otherwise. */
  ofMessage(direction: Direction, peer: string, message: Message, at: Instant): number | null {
    const asked = question(message);
    if (asked !== null) {
      this.#ask(`${direction} ${peer} ${asked}`, at);
      return null;
    }
    const answered = answer(message);
    // What came in answers what left, and the other way round.
    const from = direction === 'sent' ? 'received' : 'sent';
    return answered === null ? null : this.#answer(`${from} ${peer} ${answered}`, at);
  }

  ofLine(line: Line, at: Instant): number | null {
    const asked = orderKey(line);
    if (asked !== null) {
      this.#ask(asked, at);
      return null;
    }
    const answered = reportKey(line);
    return answered === null ? null : this.#answer(answered, at);
  }

  #ask(key: string, at: Instant): void {
    this.#askedAt.delete(key);
    this.#askedAt.set(key, at);
    if (this.#askedAt.size <= MOST_OPEN) return;
    const [oldest] = this.#askedAt.keys();
    if (oldest !== undefined) this.#askedAt.delete(oldest);
  }

  #answer(key: string, at: Instant): number | null {
    const askedAt = this.#askedAt.get(key);
    if (askedAt === undefined) return null;
    this.#askedAt.delete(key);
    return at - askedAt;
  }
}

function question(message: Message): string | null {
  switch (message.kind) {
    case 'heartbeat':
      // Without the term: whoever answers may be in a newer one already.
      return `heartbeat ${message.seq}`;
    case 'append':
      return `append ${message.term} ${message.previousIndex + message.entries.length}`;
    case 'pre-vote':
      return `pre-vote ${message.round}`;
    case 'vote':
      return `vote ${message.term}`;
    default:
      return null;
  }
}

function answer(message: Message): string | null {
  switch (message.kind) {
    case 'heartbeat-ack':
      return `heartbeat ${message.seq}`;
    case 'append-ack':
      // A refusal names where to go on, not what it refuses.
      return message.success ? `append ${message.term} ${message.match}` : null;
    case 'pre-vote-ack':
      return `pre-vote ${message.round}`;
    case 'vote-ack':
      return `vote ${message.candidateTerm}`;
    default:
      return null;
  }
}

function orderKey(line: Line): string | null {
  switch (line.kind) {
    case 'arm':
    case 'fence':
    case 'read-pools':
    case 'read-copies':
      return `${line.kind} ${line.id}`;
    case 'take':
    case 'release':
    case 'resume-io':
      return `${line.kind} ${line.epoch}`;
    case 'hello':
    case 'look':
      return line.kind;
    default:
      return null;
  }
}

function reportKey(line: Line): string | null {
  switch (line.kind) {
    case 'welcome':
    case 'refused':
      return 'hello';
    case 'armed':
    case 'arm-failed':
      return `arm ${line.id}`;
    case 'taken':
    case 'take-failed':
      return `take ${line.epoch}`;
    case 'released':
    case 'release-failed':
      return `release ${line.epoch}`;
    case 'fence-ended':
      return `fence ${line.id}`;
    case 'io-resumed':
      return `resume-io ${line.epoch}`;
    case 'data-read':
      return 'look';
    case 'pools-read':
      return line.isLast ? `read-pools ${line.id}` : null;
    case 'copies-read':
      return `read-copies ${line.id}`;
    case 'pools-unread':
      return `read-pools ${line.id}`;
    default:
      return null;
  }
}
