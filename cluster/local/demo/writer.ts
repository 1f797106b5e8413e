/**
 * The demo's client: writes numbered records through the elastic IP, one after the other, without pause. A record counts
 * as acknowledged when the store says so; one whose answer was lost is written again until it is.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { StoreClient } from '../store/index.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Patience {
  /** A stuck request is given up after this and asked again on a new connection, as any client with a time-out does. */
  readonly answerMs: number;
  readonly connectMs: number;
}

const PATIENCE: Patience = { answerMs: 250, connectMs: 100 };
const RETRY_MS = 5;
const READ_ALL_LIMIT_MS = 30_000;

/** A store that acknowledged said so at some instant between these two, in ms of the writer's clock. */
export interface Acknowledgement {
  readonly askedAt: number;
  readonly answeredAt: number;
}

export interface WriterOptions {
  readonly patience?: Patience;
  /** `performance.now` unless told otherwise. */
  readonly now?: () => number;
  readonly onAcknowledged?: (one: Acknowledgement) => void;
  /** Between an acknowledgement and the next record; none unless told otherwise. */
  readonly pauseMs?: number;
}

export class Writer {
  readonly #address: Address;
  readonly #seed: number;
  readonly #patience: Patience;
  readonly #now: () => number;
  readonly #onAcknowledged: (one: Acknowledgement) => void;
  readonly #pauseMs: number;
  readonly #acknowledgedAt: number[] = [];
  #failures = 0;
  #isStopped = false;
  #running: Promise<void> | null = null;

  constructor(address: Address, seed: number, options: WriterOptions = {}) {
    this.#address = address;
    this.#seed = seed;
    this.#patience = options.patience ?? PATIENCE;
    this.#now = options.now ?? (() => performance.now());
    this.#onAcknowledged = options.onAcknowledged ?? (() => undefined);
    this.#pauseMs = options.pauseMs ?? 0;
  }

  /** Records 1 to this one have been acknowledged. */
  get acknowledged(): number {
    return this.#acknowledgedAt.length;
  }

  /** Connections and operations that failed, or had no answer in time. */
  get failures(): number {
    return this.#failures;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** The longest time without an acknowledgement between two instants, ms: what a client sees of a failover. */
  outageMs(from: number, to: number): number {
    let last = from;
    let longest = 0;
    for (const at of [...this.#acknowledgedAt.filter((time) => time > from && time < to), to]) {
      longest = Math.max(longest, at - last);
      last = at;
    }
    return longest;
  }

  /** Acknowledged records that the store does not have, or has with other content. */
  async lost(): Promise<number[]> {
    const stored = await readAll(this.#address);
    const numbers = Array.from({ length: this.acknowledged }, (_, index) => index + 1);
    return numbers.filter((number) => stored.get(number) !== this.#payload(number));
  }

  #payload(number: number): string {
    return createHash('sha256').update(`${this.#seed}/${number}`).digest('hex');
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const client = await StoreClient.open(
          this.#address.host,
          this.#address.port,
          this.#patience.connectMs,
        );
        try {
          await this.#write(client);
        } finally {
          client.close();
        }
      } catch {
        this.#failures += 1;
        // Nobody there, cut off, or too slow: that is what the demo is about.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #write(client: StoreClient): Promise<void> {
    while (!this.#isStopped) {
      const number = this.acknowledged + 1;
      const askedAt = this.#now();
      const answer = await client.ask(`append ${number} ${this.#payload(number)}`, this.#patience.answerMs);
      if (answer !== `ok ${number}`) throw new Error(answer);
      const answeredAt = this.#now();
      this.#acknowledgedAt.push(answeredAt);
      this.#onAcknowledged({ askedAt, answeredAt });
      if (this.#pauseMs > 0) await new Promise((next) => setTimeout(next, this.#pauseMs));
    }
  }
}

function readAll({ host, port }: Address): Promise<Map<number, string>> {
  return new Promise((resolve, reject) => {
    const records = new Map<number, string>();
    const socket = connect(port, host, () => socket.write('all\n'));
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new Error('the store did not list its records in time')),
      READ_ALL_LIMIT_MS,
    );
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the store closed the connection while listing its records')));
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [kind, number, payload] = line.split(' ');
        if (kind === 'record' && payload !== undefined) records.set(Number(number), payload);
        else if (kind === 'end') {
          clearTimeout(timer);
          socket.removeAllListeners('close');
          socket.destroy();
          resolve(records);
        } else fail(new Error(line));
      }
    });
  });
}
