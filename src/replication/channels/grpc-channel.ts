/**
 * The channel over gRPC, with the agents' own certificates. Every call has a connection of its own: the window of a stream that
 * is taken slowly must not keep an order waiting.
 */
import {
  Client,
  type ClientDuplexStream,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { systemClock } from '../../clock.ts';
import { type Config, formatAddress, type GrpcChannelConfig } from '../../config/index.ts';
import type { Epoch, NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import {
  type CertificateLogger,
  CertificateWatch,
  channelOptions,
  checkTls,
  Dialer,
  readTls,
  secureContext,
  type TlsMaterial,
} from '../../peer/index.ts';
import type {
  CallOptions,
  Feature,
  ReceiveOrder,
  ReceiverChannel,
  ReceiverOrder,
  Receiving,
} from '../channel.ts';
import type { PoolsReading } from '../reading.ts';
import { GRPC_LIMITS, replicationService, type WirePart, type WireText } from './grpc-schema.ts';
import { performInParts } from './in-parts.ts';
import { OutgoingStream } from './outgoing-stream.ts';
import { type Answer, ASKS, type Question, readAnswer, readingOf } from './protocol.ts';

export interface GrpcTarget {
  readonly cluster: string;
  readonly self: NodeId;
  readonly to: NodeId;
  /** HOST:PORT */
  readonly address: string;
  /** What is in use now: files that were renewed are taken by the next call. */
  readonly tls: () => Promise<TlsMaterial>;
}

export async function openGrpcChannel(
  config: Config,
  { hosts, port }: GrpcChannelConfig,
  to: NodeId,
): Promise<GrpcChannel> {
  const host = hosts[to];
  if (host === undefined) throw new QuorateError('usage', `replication.channel has no host for ${to}`);
  const { cluster, node } = config;
  const tls = await readTls(config.tls);
  checkTls(tls, { cluster, node });
  const watch = new CertificateWatch({
    ...{ paths: config.tls, tls, expected: { cluster, node }, clock: systemClock, logger },
    onRenewed: () => undefined,
  });
  return new GrpcChannel({
    cluster: config.cluster,
    self: config.node,
    to,
    address: formatAddress({ host, port }),
    // A call is a connection of its own: there is nothing to look for in between.
    tls: async () => {
      await watch.look();
      return watch.current;
    },
  });
}

/** The channel is in processes that have no log of their own: as the agent's, on stderr. */
const logger: CertificateLogger = {
  info: (fields, msg) => void logLine(30, fields, msg),
  warn: (fields, msg) => void logLine(40, fields, msg),
  error: (fields, msg) => void logLine(50, fields, msg),
};

const logLine = (level: number, fields: Record<string, unknown>, msg: string): boolean =>
  process.stderr.write(
    `${JSON.stringify({ level, time: Date.now(), name: 'replication', ...fields, msg })}\n`,
  );

export class GrpcChannel implements ReceiverChannel {
  readonly name = 'grpc';
  readonly #target: GrpcTarget;
  readonly #lines = new Set<Line>();
  readonly #receiving = new Set<string>();
  #features: ReadonlySet<Feature> = new Set();

  constructor(target: GrpcTarget) {
    this.#target = target;
  }

  get features(): ReadonlySet<Feature> {
    return this.#features;
  }

  async read(options: CallOptions): Promise<PoolsReading> {
    const answer = await this.#ask('Read', ASKS, options, false);
    const { reading, features } = await readingOf(answer, this.#target.to);
    this.#features = features;
    return reading;
  }

  async perform(epoch: Epoch, order: ReceiverOrder, options: CallOptions): Promise<void> {
    await performInParts(order, this.#target.to, options, (part, limits) =>
      this.#ask('Perform', { epoch, order: part }, limits, true),
    );
  }

  async receive(epoch: Epoch, order: ReceiveOrder, { signal, limitMs }: CallOptions): Promise<Receiving> {
    const { dataset } = order;
    if (this.#receiving.has(dataset))
      throw new QuorateError('replication-refused', `a stream for ${dataset} is under way already`);
    this.#receiving.add(dataset);
    const line = await this.#open().catch((error: unknown) => {
      this.#receiving.delete(dataset);
      throw error;
    });
    const close = (): void => {
      this.#receiving.delete(dataset);
      this.#close(line);
    };
    try {
      const deadline = Date.now() + limitMs;
      await line.ready(deadline, signal);
      // What still runs there for the dataset can only be left over from a connection that is gone.
      const question = this.#question({ epoch, order: { ...order, replaces: true } });
      const stream = new OutgoingStream(line.stream(), this.#target.to, question);
      await stream.started(deadline, signal);
      void stream.ended.then(close);
      return stream;
    } catch (error) {
      close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const line of this.#lines) line.close();
    this.#lines.clear();
  }

  async #ask(
    method: 'Read' | 'Perform',
    what: Pick<Question, 'epoch' | 'order'>,
    { limitMs, signal }: CallOptions,
    isChange: boolean,
  ): Promise<Answer | null> {
    const line = await this.#open();
    try {
      const deadline = Date.now() + limitMs;
      await line.ready(deadline, signal);
      const { json } = await line.call(method, this.#question(what), { deadline, signal, isChange });
      return readAnswer(json);
    } finally {
      this.#close(line);
    }
  }

  #question(what: Pick<Question, 'epoch' | 'order'>): WireText {
    const { cluster, self, to } = this.#target;
    return { json: JSON.stringify({ cluster, from: self, to, ...what } satisfies Question) };
  }

  async #open(): Promise<Line> {
    const line = new Line(this.#target, await this.#target.tls());
    this.#lines.add(line);
    return line;
  }

  #close(line: Line): void {
    line.close();
    this.#lines.delete(line);
  }
}

/** A connection for one call. */
class Line {
  readonly #target: GrpcTarget;
  readonly #dialer: Dialer;
  readonly #client: Client;
  #lastFailure: Error | null = null;

  constructor(target: GrpcTarget, tls: TlsMaterial) {
    this.#target = target;
    const { address, cluster, to } = target;
    const dial = { address, cluster, node: to };
    const context = secureContext(tls);
    this.#dialer = new Dialer(() => context, dial, {
      onFailure: (error) => {
        this.#lastFailure = error;
      },
      onStuck: () => {},
    });
    this.#client = new Client(address, this.#dialer, {
      ...channelOptions(dial),
      'grpc.max_send_message_length': GRPC_LIMITS.messageBytes,
      'grpc.max_receive_message_length': GRPC_LIMITS.messageBytes,
      // The other side's host may be busy with what it receives: not for a lost second is a stream begun anew.
      'grpc.keepalive_time_ms': GRPC_LIMITS.keepaliveMs,
      'grpc.keepalive_timeout_ms': GRPC_LIMITS.keepaliveMs,
    });
  }

  /** Throws `peer-unreachable`: then nothing was asked. */
  async ready(deadline: number, signal: AbortSignal): Promise<void> {
    const { to, address } = this.#target;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => {
        signal.removeEventListener('abort', onAbort);
        reject(new QuorateError('peer-unreachable', `${to} (${address}) does not answer: ${why}`));
      };
      const onAbort = (): void => fail('the call was given up');
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) return onAbort();
      this.#client.waitForReady(deadline, (error) => {
        if (error !== undefined) return fail(this.#lastFailure?.message ?? error.message);
        signal.removeEventListener('abort', onAbort);
        // The dial has ended well; what the call may take, its own deadline says.
        this.#dialer.settle(true);
        resolve();
      });
    });
  }

  call(
    method: 'Read' | 'Perform',
    question: WireText,
    { deadline, signal, isChange }: { deadline: number; signal: AbortSignal; isChange: boolean },
  ): Promise<WireText> {
    const { path, requestSerialize, responseDeserialize } = methodOf<WireText>(method);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => request.cancel();
      const request = this.#client.makeUnaryRequest(
        ...([path, requestSerialize, responseDeserialize, question, new Metadata(), { deadline }] as const),
        (error, answer) => {
          signal.removeEventListener('abort', onAbort);
          if (error === null) resolve({ json: answer?.json ?? '' });
          else reject(callError(error, this.#target.to, isChange));
        },
      );
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  stream(): ClientDuplexStream<WirePart, WireText> {
    const { path, requestSerialize, responseDeserialize } = methodOf<WirePart>('Receive');
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
  }

  close(): void {
    this.#client.close();
    this.#dialer.dispose();
  }
}

/** proto-loader knows no fields. */
function methodOf<Request>(name: 'Read' | 'Perform' | 'Receive'): MethodDefinition<Request, WireText> {
  return replicationService()[name] as unknown as MethodDefinition<Request, WireText>;
}

function callError(error: ServiceError, to: NodeId, isChange: boolean): QuorateError {
  const isUnanswered = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED].includes(error.code);
  if (!isUnanswered)
    return new QuorateError('peer-refused', `${to} refused: ${error.details}`, { cause: error });
  return new QuorateError(
    isChange ? 'timed-out-unknown' : 'peer-unreachable',
    `${to} has not answered: ${error.details}`,
    { cause: error },
  );
}
