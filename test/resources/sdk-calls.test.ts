/** A call ends with its time and its signal while credentials are resolved, and what was given up is never sent (O2). */
import { AssociateAddressCommand, DescribeAddressesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ec2Failure } from '../../src/resources/index.ts';
import { type SdkCallOptions, SdkCalls } from '../../src/resources/sdk-calls.ts';
import { B, type Running, startController, VIP } from '../controller/support.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };

let running: Running;
let calls: SdkCalls<EC2Client>;
/** Until then `credential_process` runs. */
let resolveCredentials: (keys: typeof KEYS) => void;
beforeEach(async () => {
  running = await startController({});
  const credentials = new Promise<typeof KEYS>((resolve) => {
    resolveCredentials = resolve;
  });
  calls = new SdkCalls((config) => new EC2Client({ ...config, credentials: () => credentials }), {
    region: 'us-east-1',
    endpoint: running.controller.endpoint,
    localAddress: null,
    mayMutate: () => true,
  });
});
afterEach(async () => {
  calls.close();
  await running.stop();
});

const failureOf = (acting: Promise<unknown>) =>
  acting.then(
    () => 'none',
    (error: unknown) => (error instanceof Ec2Failure ? `${error.kind} ${error.code}` : String(error)),
  );
const move = () =>
  new AssociateAddressCommand({
    AllocationId: VIP.allocation,
    NetworkInterfaceId: B.eni,
    AllowReassociation: true,
  });
const actions = () => running.controller.calls().map(({ action }) => action);

describe('while credentials are resolved', () => {
  it('a reading ends with its time', async () => {
    const { signal } = new AbortController();
    const reading = calls.read((client, how) => client.send(new DescribeAddressesCommand({}), how), {
      signal,
      timeoutMs: 50,
    });
    expect(await failureOf(reading)).toBe('unknown-outcome TimeoutError');
  });

  it.each(['time', 'signal'] as const)(
    'a mutation ends with its %s, and is refused when it is signed at last',
    async (end) => {
      const calling = new AbortController();
      let sending: Promise<unknown> = Promise.resolve();
      const mutating = calls.mutate(
        (client) => {
          // Without the signal: the gate alone must hold it.
          sending = client.send(move());
          return sending;
        },
        { signal: calling.signal, timeoutMs: end === 'time' ? 50 : 60_000 },
      );
      if (end === 'signal') calling.abort();
      expect(await failureOf(mutating)).toBe(
        end === 'time' ? 'unreachable TimeoutError' : 'aborted AbortError',
      );
      resolveCredentials(KEYS);
      expect(await failureOf(sending)).toBe('aborted GivenUp');
      expect(actions()).toEqual([]);
    },
  );

  it('a mutation that is waited for is sent as soon as it can be signed', async () => {
    const { signal } = new AbortController();
    const mutating = calls.mutate((client, how) => client.send(move(), how), { signal, timeoutMs: 60_000 });
    resolveCredentials(KEYS);
    expect(await failureOf(mutating)).toBe('none');
    expect(actions()).toEqual(['AssociateAddress']);
  });
});

describe('an answer that is late', () => {
  const options = { signal: new AbortController().signal, timeoutMs: 60_000 };
  /** Answers when it is told to; what is called off ends at once. */
  class Questions {
    readonly open: { answer: (text: string) => void; fail: (error: Error) => void; signal: AbortSignal }[] =
      [];
    readonly #waiting = new Map<number, () => void>();

    ask = (_: EC2Client, { abortSignal: signal }: SdkCallOptions): Promise<string> => {
      const asked = new Promise<string>((resolve, reject) => {
        this.open.push({ answer: resolve, fail: reject, signal });
      });
      this.#waiting.get(this.open.length)?.();
      return asked;
    };

    count(wanted: number): Promise<void> {
      if (this.open.length >= wanted) return Promise.resolve();
      return new Promise((resolve) => this.#waiting.set(wanted, resolve));
    }
  }
  const failed = (code: string) => new Ec2Failure('throttled', code, 'as the test wants');

  it('a reading is asked once more, whichever answers counts, and the other is called off', async () => {
    for (const which of [0, 1]) {
      const questions = new Questions();
      const reading = calls.read(questions.ask, options);
      await questions.count(2);
      questions.open[which]?.answer(`answer ${which}`);
      expect(await reading).toBe(`answer ${which}`);
      expect(questions.open.every(({ signal }) => signal.aborted)).toBe(true);
      expect(questions.open).toHaveLength(2);
    }
  });

  it('one that fails is not the end while the other is open, and a refusal in time is', async () => {
    const questions = new Questions();
    const reading = calls.read(questions.ask, options);
    await questions.count(2);
    questions.open[0]?.fail(failed('One'));
    questions.open[1]?.answer('answer');
    expect(await reading).toBe('answer');

    const both = new Questions();
    const failing = calls.read(both.ask, options);
    await both.count(2);
    both.open[1]?.fail(failed('Two'));
    both.open[0]?.fail(failed('One'));
    expect(await failureOf(failing)).toBe('throttled Two');

    const refused = new Questions();
    const ending = calls.read(refused.ask, options);
    refused.open[0]?.fail(failed('InTime'));
    expect(await failureOf(ending)).toBe('throttled InTime');
    expect(refused.open).toHaveLength(1);
  });

  it('O2: a mutation is asked once, however late its answer is, and so is what warms up', async () => {
    const mutations = new Questions();
    const mutating = calls.mutate(mutations.ask, options);
    const warming = new Questions();
    const patient = calls.read(warming.ask, { ...options, isPatient: true });
    const questions = new Questions();
    const reading = calls.read(questions.ask, options);
    // By then a reading that began after them has been asked twice.
    await questions.count(2);
    expect(warming.open).toHaveLength(1);
    warming.open[0]?.answer('warm');
    expect(await patient).toBe('warm');
    expect(mutations.open).toHaveLength(1);
    mutations.open[0]?.answer('done');
    questions.open[0]?.answer('read');
    expect(await Promise.all([reading, mutating])).toEqual(['read', 'done']);
  });
});
