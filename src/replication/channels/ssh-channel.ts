/**
 * The channel over SSH. A call is a connection of its own: most of what it costs is the start of the other side's process (0.25 s
 * of a core), which a shared one (ControlMaster) would not save; and over a shared one a stream that hangs would hang the orders.
 */
import type { Epoch, NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type {
  CallOptions,
  Feature,
  ReceiveEnd,
  ReceiveOrder,
  ReceiverChannel,
  ReceiverOrder,
  Receiving,
} from '../channel.ts';
import type { PoolsReading } from '../reading.ts';
import { performInParts } from './in-parts.ts';
import { ASKS, type Question, readingOf, unexpected, type Verb } from './protocol.ts';
import { SshCall } from './ssh-call.ts';
import type { SshTarget } from './ssh-command.ts';

export class SshChannel implements ReceiverChannel {
  readonly name = 'ssh';
  readonly #target: SshTarget;
  readonly #self: NodeId;
  readonly #calls = new Set<SshCall>();
  /** Datasets that a stream of this channel is under way for. */
  readonly #receiving = new Set<string>();
  #features: ReadonlySet<Feature> = new Set();

  constructor(target: SshTarget, self: NodeId) {
    this.#target = target;
    this.#self = self;
  }

  get features(): ReadonlySet<Feature> {
    return this.#features;
  }

  async read(options: CallOptions): Promise<PoolsReading> {
    const answer = await this.#ask('read', ASKS, options, false);
    const { reading, features } = await readingOf(answer, this.#target.to);
    this.#features = features;
    return reading;
  }

  async perform(epoch: Epoch, order: ReceiverOrder, options: CallOptions): Promise<void> {
    await performInParts(order, this.#target.to, options, (part, limits) =>
      this.#ask('perform', { epoch, order: part }, limits, true),
    );
  }

  async receive(epoch: Epoch, order: ReceiveOrder, { signal, limitMs }: CallOptions): Promise<Receiving> {
    const { dataset } = order;
    if (this.#receiving.has(dataset))
      throw new QuorateError('replication-refused', `a stream for ${dataset} is under way already`);
    this.#receiving.add(dataset);
    try {
      // What still runs there for the dataset can only be left over from a connection that is gone.
      const call = this.#open('receive', { epoch, order: { ...order, replaces: true } }, 'pipe');
      try {
        const answer = await call.within(limitMs, signal, true);
        if (answer?.kind !== 'started') throw unexpected(answer, this.#target.to);
      } catch (error) {
        this.#close(call);
        throw error;
      }
      return this.#receivingOf(call, dataset);
    } catch (error) {
      this.#receiving.delete(dataset);
      throw error;
    }
  }

  /** Whether the other side answers, and who. */
  async probe(options: CallOptions): Promise<{ readonly node: NodeId; readonly version: string }> {
    return this.#probe('probe', options);
  }

  /** Lets the other side try the way back to this one. */
  async probeBack(options: CallOptions): Promise<{ readonly node: NodeId; readonly version: string }> {
    return this.#probe('probe-back', options);
  }

  async close(): Promise<void> {
    for (const call of this.#calls) call.kill();
    this.#calls.clear();
  }

  #receivingOf(call: SshCall, dataset: string): Receiving {
    let isAborted = false;
    const ended = call
      .next()
      .then((answer): ReceiveEnd => {
        if (answer?.kind === 'ended') return answer.end;
        const { message } = unexpected(answer, this.#target.to);
        return { kind: 'broken', code: 'stream', why: message };
      })
      .catch((error: unknown): ReceiveEnd => {
        if (isAborted) return { kind: 'broken', code: 'aborted', why: 'this side has given it up' };
        const why = error instanceof Error ? error.message : String(error);
        return { kind: 'broken', code: 'connection', why };
      })
      .finally(() => {
        this.#receiving.delete(dataset);
        this.#close(call);
      });
    return {
      sink: call.stdin,
      ended,
      abort: () => {
        isAborted = true;
        call.kill();
      },
    };
  }

  async #probe(verb: 'probe' | 'probe-back', options: CallOptions) {
    const answer = await this.#ask(verb, {}, options, false);
    if (answer?.kind !== 'probed') throw unexpected(answer, this.#target.to);
    const expected = verb === 'probe' ? this.#target.to : this.#self;
    if (answer.node !== expected)
      throw new QuorateError('peer-refused', `${answer.node} has answered, and not ${expected}`);
    return { node: answer.node, version: answer.version };
  }

  async #ask(verb: Verb, what: Pick<Question, 'epoch' | 'order'>, options: CallOptions, isChange: boolean) {
    const call = this.#open(verb, what, 'ignore');
    try {
      return await call.within(options.limitMs, options.signal, isChange);
    } finally {
      this.#close(call);
    }
  }

  #open(verb: Verb, what: Pick<Question, 'epoch' | 'order'>, stdin: 'ignore' | 'pipe'): SshCall {
    const { cluster, to } = this.#target;
    const call = new SshCall(this.#target, verb, { cluster, from: this.#self, to, ...what }, stdin);
    this.#calls.add(call);
    return call;
  }

  #close(call: SshCall): void {
    call.kill();
    this.#calls.delete(call);
  }
}
