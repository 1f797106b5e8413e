/** One stream that comes in by gRPC: the question, then the bytes, given on as fast as they are taken and no faster. */
import type { Writable } from 'node:stream';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { RunningReceive } from '../receiver/index.ts';
import { REPLICATION_CALLS } from './grpc-limits.ts';
import type { WirePart, WireText } from './grpc-schema.ts';
import { type Answer, failedBy, writeAnswer } from './protocol.ts';

type Call = ServerDuplexStream<WirePart, WireText>;

export class IncomingStream {
  readonly #call: Call;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #question: Promise<string | null>;
  #input: Writable | null = null;
  #hasEnded = false;

  constructor(call: Call, ending: AbortSignal) {
    this.#call = call;
    this.#signal = AbortSignal.any([this.#over.signal, ending]);
    this.#question = new Promise((resolve) => {
      const limit = setTimeout(() => resolve(null), REPLICATION_CALLS.questionMs);
      limit.unref();
      call.once('data', (part: WirePart) => {
        // Nothing more is read until there is somebody who takes it.
        call.pause();
        clearTimeout(limit);
        resolve(part.question?.json ?? null);
      });
      call.once('end', () => resolve(null));
      call.once('cancelled', () => resolve(null));
      this.#signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    call.once('end', () => {
      this.#hasEnded = true;
      this.#input?.end();
    });
    call.once('cancelled', () => this.#over.abort());
    call.once('error', () => this.#over.abort());
    call.once('close', () => {
      if (!this.#hasEnded) this.#over.abort();
    });
  }

  /** Never rejects. */
  async run(start: (json: string, signal: AbortSignal) => Promise<RunningReceive>): Promise<void> {
    let last: Answer;
    try {
      const json = await this.#question;
      last = json === null ? failedBy(new Error('there was no question')) : await this.#receive(start, json);
    } catch (error) {
      last = failedBy(error);
    }
    this.#say(last);
    this.#call.end();
    // What is still on its way is for nobody.
    this.#call.removeAllListeners('data');
    this.#call.on('data', () => {});
    this.#call.resume();
  }

  async #receive(
    start: (json: string, signal: AbortSignal) => Promise<RunningReceive>,
    json: string,
  ): Promise<Answer> {
    const running = await start(json, this.#signal);
    const { input } = running;
    if (input === null) throw new Error('a stream without a taker');
    this.#input = input;
    this.#say({ kind: 'started' });
    input.on('drain', () => this.#call.resume());
    this.#call.on('data', ({ data }: WirePart) => {
      if (data === null || data === undefined) return running.abort('a message that is no part of a stream');
      if (!input.destroyed && !input.write(data)) this.#call.pause();
    });
    if (this.#hasEnded) input.end();
    else this.#call.resume();
    return { kind: 'ended', end: await running.ended };
  }

  #say(answer: Answer): void {
    if (!this.#call.destroyed && !this.#call.cancelled) this.#call.write({ json: writeAnswer(answer) });
  }
}
