/**
 * One stream that goes out by gRPC. `sink` takes bytes in pieces of any size, sends them in pieces of at most 64 KiB, and takes no
 * more while gRPC has enough: in memory there is what gRPC keeps (16 pieces) and one that waits.
 */
import { Writable } from 'node:stream';
import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import type { NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { ReceiveEnd, Receiving } from '../channel.ts';
import { GRPC_LIMITS, type WirePart, type WireText } from './grpc-schema.ts';
import { type Answer, printable, readAnswer, unexpected } from './protocol.ts';

type Call = ClientDuplexStream<WirePart, WireText>;

export class OutgoingStream implements Receiving {
  readonly sink: Writable;
  readonly ended: Promise<ReceiveEnd>;
  readonly #call: Call;
  readonly #to: NodeId;
  readonly #started: Promise<void>;
  #hasStarted = false;
  #isAborted = false;

  constructor(call: Call, to: NodeId, question: WireText) {
    this.#call = call;
    this.#to = to;
    const gone = new Promise<void>((resolve) => {
      for (const event of ['error', 'close', 'end']) call.once(event, () => resolve());
    });
    this.sink = sinkInto(call, gone);
    // Who writes hears of the end by `ended`.
    this.sink.on('error', () => {});
    let onStarted: () => void = () => {};
    let onRefused: (error: Error) => void = () => {};
    this.#started = new Promise((resolve, reject) => {
      onStarted = resolve;
      onRefused = reject;
    });
    this.#started.catch(() => {});
    this.ended = new Promise((resolve) => {
      const end = (how: ReceiveEnd): void => {
        resolve(how);
        this.sink.destroy();
        call.cancel();
      };
      call.on('data', ({ json }: WireText) => {
        const answer = readAnswer(json ?? '');
        if (answer?.kind === 'started' && !this.#hasStarted) {
          this.#hasStarted = true;
          return onStarted();
        }
        if (!this.#hasStarted) onRefused(unexpected(answer, to));
        end(endOf(answer, to));
      });
      call.on('error', (error: ServiceError) => {
        onRefused(this.#errorOf(error));
        end(
          this.#isAborted ? GIVEN_UP : { kind: 'broken', code: 'connection', why: printable(error.details) },
        );
      });
      call.on('end', () => {
        onRefused(new QuorateError('peer-unreachable', `${to} has ended the call without an answer`));
        end({ kind: 'broken', code: 'connection', why: `${to} has ended the call without an answer` });
      });
    });
    call.write({ question });
  }

  /** Throws where it did not start, refused or not in time. */
  async started(deadline: number, signal: AbortSignal): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.abort();
    }, deadline - Date.now());
    const onAbort = (): void => this.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await this.#started;
    } catch (error) {
      if (!isLate) throw error;
      throw new QuorateError('timed-out-unknown', `${this.#to} has not answered in time`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  abort(): void {
    this.#isAborted = true;
    this.#call.cancel();
  }

  #errorOf(error: ServiceError): QuorateError {
    const isUnanswered = [status.UNAVAILABLE, status.CANCELLED].includes(error.code);
    const code = isUnanswered ? 'peer-unreachable' : 'peer-refused';
    return new QuorateError(code, `${this.#to}: ${printable(error.details)}`, { cause: error });
  }
}

const GIVEN_UP: ReceiveEnd = { kind: 'broken', code: 'aborted', why: 'this side has given it up' };

function endOf(answer: Answer | null, to: NodeId): ReceiveEnd {
  if (answer?.kind === 'ended') return answer.end;
  const { code, message } = unexpected(answer, to);
  return { kind: 'broken', code: code === 'replication-refused' ? 'refused' : 'stream', why: message };
}

function sinkInto(call: Call, gone: Promise<void>): Writable {
  // One waiter, and nothing that stays of it: a race against `gone` would leave something there for every wait of a stream.
  let wake = (): void => {};
  call.on('drain', () => wake());
  let isGone = false;
  void gone.then(() => {
    isGone = true;
    wake();
  });
  const room = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      if (isGone) resolve();
    });
  const send = async (chunk: Buffer): Promise<void> => {
    for (let at = 0; at < chunk.length; at += GRPC_LIMITS.chunkBytes) {
      if (call.destroyed || call.writableEnded) throw new Error('the call has ended');
      const isRoom = call.write({ data: chunk.subarray(at, at + GRPC_LIMITS.chunkBytes) });
      if (!isRoom) await room();
    }
  };
  return new Writable({
    highWaterMark: GRPC_LIMITS.chunkBytes,
    write: (chunk: Buffer, _encoding, done) => {
      send(chunk).then(() => done(), done);
    },
    final: (done) => {
      call.end();
      done();
    },
    destroy: (error, done) => {
      // A source that breaks off is not one that has ended: the other side must not take it for whole.
      if (!call.writableEnded) call.cancel();
      done(error);
    },
  });
}
