import {
  AssociateAddressCommand,
  DescribeAddressesCommand,
  type EC2Client,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FaultsInput } from '../../cluster/local/controller/index.ts';
import {
  A,
  B,
  eventually,
  HOST,
  local,
  outcome,
  pause,
  type Running,
  startController,
  VIP,
} from './support.ts';

let running: Running;
let nowMs: number | null;
beforeEach(async () => {
  nowMs = null;
  running = await startController({}, { now: () => nowMs ?? Number(process.hrtime.bigint()) / 1e6 });
});
afterEach(() => running.stop());

const describeVip = (client: EC2Client = running.ec2) =>
  client.send(new DescribeAddressesCommand({ AllocationIds: [VIP.allocation] }));
const seenHolder = async (client?: EC2Client) =>
  (await describeVip(client)).Addresses?.[0]?.NetworkInterfaceId;
const moveTo = (eni: string, client: EC2Client = running.ec2) =>
  client.send(new AssociateAddressCommand({ AllocationId: VIP.allocation, NetworkInterfaceId: eni }));
const holder = () => running.controller.lookup(VIP.ip)?.target?.interfaceId;
const lastCall = () => running.controller.calls().at(-1);

describe('throttling', () => {
  it('is a token bucket per action: burst, then the rate', async () => {
    nowMs = 1_000;
    running.controller.setFaults({ throttle: { AssociateAddress: { ratePerSecond: 2, burst: 3 } } });
    const take = async (n: number) => {
      const seen: string[] = [];
      for (let i = 0; i < n; i++) seen.push(await outcome(moveTo(B.eni)));
      return seen;
    };
    const limit = '503 RequestLimitExceeded';
    expect(await take(4)).toEqual(['ok', 'ok', 'ok', limit]);
    expect(await outcome(describeVip())).toBe('ok');
    nowMs += 1_000;
    expect(await take(3)).toEqual(['ok', 'ok', limit]);
    nowMs += 60_000;
    expect(await take(4)).toEqual(['ok', 'ok', 'ok', limit]);
    expect(lastCall()).toMatchObject({ faults: ['throttle'], executedMs: null, status: 503 });
  });

  it('with * gives every action a bucket of its own, and the SDK retries it by itself', async () => {
    nowMs = 1_000;
    running.controller.setFaults({ throttle: { '*': { ratePerSecond: 0, burst: 1 } } });
    expect(await outcome(describeVip())).toBe('ok');
    expect(await outcome(moveTo(B.eni))).toBe('ok');
    expect(await outcome(describeVip())).toBe('503 RequestLimitExceeded');
    const patient = running.client({ attempts: 3 });
    const retried = outcome(describeVip(patient));
    await eventually(() => running.controller.calls().length === 4);
    running.controller.setFaults({});
    expect(await retried).toBe('ok');
    const [first, second] = running.controller.calls({ after: 3 });
    expect(first?.invocationId).toBe(second?.invocationId);
    expect([first?.attempt, second?.attempt]).toEqual(['attempt=1; max=3', 'attempt=2; max=3']);
  });
});

describe('delayed visibility', () => {
  it('others see the old world for a while; whoever changed it sees its own change', async () => {
    running.controller.setFaults({ visibility: { delayMs: 1_000 } });
    const other = running.client({ accessKey: 'AKIDOTHER' });
    await moveTo(B.eni);
    expect(holder()).toBe(B.eni);
    expect(await seenHolder()).toBe(B.eni);
    expect(await seenHolder(other)).toBe(A.eni);
    await pause(1_020);
    expect(await seenHolder(other)).toBe(B.eni);
  });

  it('without read-your-writes even the writer sees the old world; changes still act on the true one', async () => {
    running.controller.setFaults({ visibility: { delayMs: 5_000, readYourWrites: false } });
    await moveTo(B.eni);
    expect(await seenHolder()).toBe(A.eni);
    const again = new AssociateAddressCommand({
      AllocationId: VIP.allocation,
      NetworkInterfaceId: A.eni,
      AllowReassociation: false,
    });
    expect(await outcome(running.ec2.send(again))).toBe('400 Resource.AlreadyAssociated');
    running.controller.setFaults({});
    expect(await seenHolder()).toBe(B.eni);
  });

  it('with jitter does not even read forwards only', async () => {
    nowMs = 1_000;
    running.controller.setFaults({ visibility: { delayMs: 0, jitterMs: 1_000, readYourWrites: false } });
    await moveTo(B.eni);
    nowMs += 500;
    const seen: unknown[] = [];
    for (let i = 0; i < 30; i++) seen.push(await seenHolder());
    const text = seen.map((one) => (one === B.eni ? 'n' : 'o')).join('');
    expect(text).toMatch(/no/);
    expect(text).toMatch(/on/);
  });
});

describe('lost replies', () => {
  it('reset: the change was made, the client sees a broken connection', async () => {
    running.controller.setFaults({ rules: [{ kind: 'lost-reply', actions: ['AssociateAddress'], next: 1 }] });
    expect(await outcome(describeVip())).toBe('ok');
    expect(await outcome(moveTo(B.eni))).toMatch(/ECONNRESET|EPIPE|Error/);
    expect(holder()).toBe(B.eni);
    expect(lastCall()).toMatchObject({ reply: 'reset', result: 'ok', faults: ['lost-reply'] });
    expect(await outcome(moveTo(A.eni))).toBe('ok');
  });

  it('silence: the change was made, the client times out', async () => {
    running.controller.setFaults({ rules: [{ kind: 'lost-reply', how: 'silence', next: 1 }] });
    expect(await outcome(moveTo(B.eni, running.client({ timeoutMs: 150 })))).toBe('- TimeoutError');
    expect(holder()).toBe(B.eni);
    expect(lastCall()).toMatchObject({ reply: 'silence', result: 'ok' });
  });
});

it('late execution: the call acts after its client has given up', async () => {
  running.controller.setFaults({
    rules: [{ kind: 'late', ms: 400, actions: ['AssociateAddress'], next: 1 }],
  });
  expect(await outcome(moveTo(B.eni, running.client({ timeoutMs: 100 })))).toBe('- TimeoutError');
  expect(holder()).toBe(A.eni);
  await eventually(() => holder() === B.eni);
  const call = lastCall();
  expect(call).toMatchObject({ reply: 'client-gone', result: 'ok' });
  expect((call?.executedMs ?? 0) - (call?.arrivedMs ?? 0)).toBeGreaterThanOrEqual(395);
});

it('latency: half on the way there, half on the way back', async () => {
  running.controller.setFaults({ rules: [{ kind: 'latency', ms: 200 }] });
  await moveTo(B.eni);
  const call = lastCall();
  expect(call?.ms).toBeGreaterThanOrEqual(195);
  const there = (call?.executedMs ?? 0) - (call?.arrivedMs ?? 0);
  expect(there).toBeGreaterThanOrEqual(95);
  expect(there).toBeLessThan(195);
});

it('unauthorized: refused, also for a dry run', async () => {
  running.controller.setFaults({ rules: [{ kind: 'unauthorized', accessKeys: ['AKIDEXAMPLE'] }] });
  expect(await outcome(moveTo(B.eni))).toBe('403 UnauthorizedOperation');
  const dry = new StopInstancesCommand({ InstanceIds: [A.instance], DryRun: true });
  expect(await outcome(running.ec2.send(dry))).toBe('403 UnauthorizedOperation');
  expect(await outcome(describeVip(running.client({ accessKey: 'AKIDOTHER' })))).toBe('ok');
  expect(holder()).toBe(A.eni);
});

it('errors: before or after the change', async () => {
  running.controller.setFaults({ rules: [{ kind: 'error', next: 1 }] });
  expect(await outcome(moveTo(B.eni))).toBe('500 InternalError');
  expect(holder()).toBe(A.eni);
  running.controller.setFaults({
    rules: [{ kind: 'error', code: 'Unavailable', status: 503, executed: true }],
  });
  expect(await outcome(moveTo(B.eni))).toBe('503 Unavailable');
  expect(holder()).toBe(B.eni);
  expect(lastCall()?.executedMs).not.toBeNull();
});

describe('an unreachable controller', () => {
  it.each(['reset', 'blackhole'] as const)(
    '%s: nothing is executed, only the named sources are hit',
    async (how) => {
      running.controller.setFaults({ rules: [{ kind: 'unreachable', how, sources: [`${A.ip}/32`] }] });
      const throughA = running.client({ localAddress: A.ip, timeoutMs: 150 });
      const throughB = running.client({ localAddress: B.ip });
      expect(await outcome(moveTo(B.eni, throughA))).not.toBe('ok');
      expect(holder()).toBe(A.eni);
      expect(lastCall()).toMatchObject({ executedMs: null, result: null });
      expect(await outcome(describeVip(throughB))).toBe('ok');
    },
  );

  it('refuses connections for a time, breaks open ones, and comes back at the same place', async () => {
    await describeVip();
    running.controller.refuseConnections(1_000);
    await pause(30);
    const error = await describeVip().catch((one: NodeJS.ErrnoException) => one);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    await pause(1_100);
    expect(await outcome(describeVip())).toBe('ok');
  });
});

describe('determinism', () => {
  const faults: FaultsInput = {
    rules: [
      { kind: 'lost-reply', probability: 0.3 },
      { kind: 'error', probability: 0.3 },
      { kind: 'unauthorized', probability: 0.2, actions: ['AssociateAddress'] },
    ],
  };
  const story = async (seed: number) => {
    const one = await startController({ faults }, { seed });
    try {
      for (let i = 0; i < 40; i++) {
        await outcome(i % 3 === 0 ? describeVip(one.ec2) : moveTo(i % 2 === 0 ? A.eni : B.eni, one.ec2));
      }
      const { addresses } = one.controller.state();
      return {
        calls: one.controller.calls().map((call) => [call.requestId, call.faults, call.result]),
        addresses,
      };
    } finally {
      await one.stop();
    }
  };

  it('the same seed and order of calls give the same faults and ids, another seed others', async () => {
    const [first, again, other] = [await story(7), await story(7), await story(8)];
    expect(again).toEqual(first);
    expect(other.calls).not.toEqual(first.calls);
    expect(new Set(first.calls.flatMap((call) => call[1]))).toEqual(
      new Set(['lost-reply', 'error', 'unauthorized']),
    );
  });
});

describe('the local API switches faults', () => {
  it('GET, PUT, DELETE; `next` counts down', async () => {
    const put = await local(running.controller, 'PUT', 'faults', {
      rules: [{ kind: 'unauthorized', next: 2 }],
    });
    expect(put.status).toBe(200);
    expect(await outcome(describeVip())).toBe('403 UnauthorizedOperation');
    expect((await local(running.controller, 'GET', 'faults')).json).toMatchObject({
      rules: [{ kind: 'unauthorized', next: 1, probability: 1 }],
      visibility: { delayMs: 0, readYourWrites: true },
    });
    await local(running.controller, 'DELETE', 'faults');
    expect(await outcome(describeVip())).toBe('ok');
  });

  it('refuses nonsense and names the place', async () => {
    const reply = await local(running.controller, 'PUT', 'faults', { rules: [{ kind: 'late', ms: -1 }] });
    expect(reply.status).toBe(400);
    expect(JSON.stringify(reply.json)).toContain('rules[0].ms');
  });

  it('closes the listener', async () => {
    await local(running.controller, 'POST', 'listener', { closedForMs: 1_000 });
    await pause(50);
    await expect(fetch(`${running.controller.endpoint}/_local/state`)).rejects.toThrow();
    await pause(1_100);
    expect((await local(running.controller, 'GET', 'calls')).json).toEqual([]);
    expect(running.controller.endpoint).toContain(HOST);
  });
});
