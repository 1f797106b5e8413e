/** A call ends with its time and its signal while credentials are resolved, and what was given up is never sent (O2). */
import { AssociateAddressCommand, DescribeAddressesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ec2Failure } from '../../src/resources/index.ts';
import { SdkCalls } from '../../src/resources/sdk-calls.ts';
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
