/** Calls through the real SDK to the local controller, told to somebody who looks. */
import { AssociateAddressCommand, DescribeAddressesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CloudCall } from '../../src/resources/index.ts';
import { SdkCalls } from '../../src/resources/sdk-calls.ts';
import { B, type Running, startController, VIP } from '../controller/support.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret-of-the-test' };

let running: Running;
let calls: SdkCalls<EC2Client>;
let mayMutate: boolean;
const seen: CloudCall[] = [];
const watch = { isWatched: true, call: (call: CloudCall) => void seen.push(call) };
beforeEach(async () => {
  running = await startController({});
  mayMutate = true;
  seen.length = 0;
  watch.isWatched = true;
  calls = new SdkCalls((config) => new EC2Client({ ...config, credentials: async () => KEYS }), {
    region: 'us-east-1',
    endpoint: running.controller.endpoint,
    localAddress: null,
    mayMutate: () => mayMutate,
    watch,
  });
});
afterEach(async () => {
  calls.close();
  await running.stop();
});

/** Patient: a reading that is late is otherwise asked twice. */
const how = () => ({ signal: AbortSignal.timeout(5000), timeoutMs: 5000, isPatient: true });
const associate = (allocation: string) => ({
  AllocationId: allocation,
  NetworkInterfaceId: B.eni,
  AllowReassociation: true,
});
const move = (allocation: string) =>
  calls.mutate(
    (client, options) => client.send(new AssociateAddressCommand(associate(allocation)), options),
    how(),
  );
const read = () =>
  calls.read((client, options) => client.send(new DescribeAddressesCommand({}), options), how());

it('tells what leaves and how it ended, and nothing of what was in it', async () => {
  await read();
  await move(VIP.allocation);
  expect(seen).toMatchObject([
    { direction: 'sent', client: 'EC2Client', name: 'DescribeAddresses', attempts: 1, outcome: null },
    { direction: 'received', client: 'EC2Client', name: 'DescribeAddresses', attempts: 1, outcome: 'ok' },
    { direction: 'sent', name: 'AssociateAddress', latencyMs: null },
    { direction: 'received', name: 'AssociateAddress', outcome: 'ok' },
  ]);
  const [question, answer, move1, moved] = seen;
  expect(answer?.id).toBe(question?.id);
  expect(moved?.id).toBe(move1?.id);
  expect(moved?.id).not.toBe(answer?.id);
  for (const { bytes } of [question, move1].map((call) => call ?? { bytes: null }))
    expect(bytes).toBeGreaterThan(30);
  for (const call of [answer, moved]) expect(call?.latencyMs).toBeGreaterThan(0);
  const text = JSON.stringify(seen);
  for (const secret of [KEYS.accessKeyId, KEYS.secretAccessKey, VIP.allocation, B.eni, 'Signature'])
    expect(text).not.toContain(secret);
});

it("says the cloud's own code where it refuses, and ours where the gate does", async () => {
  await expect(move('eipalloc-0bad')).rejects.toThrow();
  mayMutate = false;
  await expect(move(VIP.allocation)).rejects.toThrow();
  expect(seen.map(({ direction, attempts, outcome }) => `${direction} ${attempts} ${outcome}`)).toEqual([
    'sent 1 null',
    'received 1 InvalidAllocationID.NotFound',
    // O2: it never left.
    'received 0 LeaseEnded',
  ]);
});

it('a rehearsal is no call, and nobody is told while nobody looks', async () => {
  const input = associate('eipalloc-00000000');
  const hasRehearsed = await calls.rehearse(
    input,
    '<AssociateAddressResponse><associationId>none</associationId></AssociateAddressResponse>',
    (client, options) => client.send(new AssociateAddressCommand(input), options),
    how(),
  );
  watch.isWatched = false;
  await read();
  expect({ hasRehearsed, seen }).toEqual({ hasRehearsed: true, seen: [] });
});
