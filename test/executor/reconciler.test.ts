/** H4, H6: what is repaired, on top of what, and what is reported as in vain; through the executor, in virtual time. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { epoch } from '../../src/core/index.ts';
import { Bench, FakeResource } from './bench.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => vi.useRealTimers());

const MINUTE = 60_000;

/** Clients come in through the door, as soon as the service runs and the address is here. */
const published = (): FakeResource[] => [
  new FakeResource('svc', 'service'),
  new FakeResource('eip', 'elastic-ip', 'svc'),
  new FakeResource('door', 'port-block', 'svc', 'eip'),
];

async function holding(resources: readonly FakeResource[]): Promise<Bench> {
  const bench = new Bench(resources);
  await bench.hello();
  await bench.take(7);
  await vi.advanceTimersByTimeAsync(3000);
  expect(bench.told).toEqual(['ready', 'taken 7']);
  return bench;
}

async function keptAfterFailure(resources: readonly FakeResource[]): Promise<Bench> {
  const bench = new Bench(resources);
  await bench.hello();
  // A probe may take long.
  await vi.advanceTimersByTimeAsync(1000);
  await bench.take(7);
  await vi.advanceTimersByTimeAsync(5000);
  expect(bench.told).toEqual(['ready', 'take-failed 7']);
  bench.order({ kind: 'keep', epoch: epoch(7) });
  return bench;
}

describe('H6: repairs in vain', () => {
  it('what flaps every few seconds is reported, although each of its repairs works', async () => {
    const bench = await holding([new FakeResource('port', 'port')]);
    for (let loss = 0; loss < 20; loss += 1) {
      bench.of('port').state = 'not-held';
      await vi.advanceTimersByTimeAsync(10_000);
    }
    expect(bench.all('repair-failed')[0]).toMatchObject({
      epoch: 7,
      name: 'port',
      count: 3,
      why: 'acquired',
    });
    expect(bench.of('port').state).toBe('held');
  });

  it('what is lost once in a few minutes is repaired, and reported to nobody', async () => {
    const bench = await holding([new FakeResource('port', 'port')]);
    for (let loss = 0; loss < 10; loss += 1) {
      bench.of('port').state = 'not-held';
      await vi.advanceTimersByTimeAsync(2 * MINUTE);
    }
    expect(bench.of('port').acquires).toBe(11);
    expect(bench.all('repair-failed')).toEqual([]);
  });

  it('a port whose repair finds no carrier is reported at once, and again with every repair', async () => {
    const bench = await holding([new FakeResource('port', 'port')]);
    Object.assign(bench.of('port'), { state: 'not-held', refusal: 'port-dead' });
    await vi.advanceTimersByTimeAsync(3000);
    expect(bench.all('repair-failed')[0]).toMatchObject({ name: 'port', count: 1 });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(bench.all('repair-failed').length).toBeGreaterThan(3);
  });

  it('a service whose start hangs for half a minute each time is reported too', async () => {
    const bench = await holding([new FakeResource('svc', 'service')]);
    Object.assign(bench.of('svc'), { state: 'not-held', refusal: 'command-failed', acquireMs: 30_000 });
    await vi.advanceTimersByTimeAsync(5 * MINUTE);
    expect(bench.all('repair-failed')[0]).toMatchObject({
      name: 'svc',
      count: 3,
      why: expect.stringContaining('svc cannot be had'),
    });
  });

  it('what stands on something that cannot be repaired is not reported itself: it was never tried', async () => {
    const bench = await holding([
      new FakeResource('mount', 'mount'),
      new FakeResource('svc', 'service', 'mount'),
    ]);
    Object.assign(bench.of('mount'), { state: 'not-held', refusal: 'command-failed' });
    bench.of('svc').state = 'not-held';
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(new Set(bench.all('repair-failed').map(({ name }) => name))).toEqual(new Set(['mount']));
    expect(bench.of('svc').acquires).toBe(1);
  });
});

describe('complaint 1: a cloud that does not answer is no failure of this node', () => {
  it('nor is the door: it stays open, for whoever comes by another way', async () => {
    const bench = await holding(published());
    Object.assign(bench.of('eip'), { state: 'not-held', refusal: 'cloud-throttled' });
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(bench.of('eip').acquires).toBeGreaterThan(4);
    expect(bench.of('door').state).toBe('held');
    expect(bench.all('repair-failed')).toEqual([]);
    bench.of('eip').refusal = null;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(bench.of('eip').state).toBe('held');
  });

  it('nor in a takeover that was kept without the address', async () => {
    const resources = published();
    const [, eip] = resources;
    Object.assign(eip ?? {}, { refusal: 'cloud-throttled' });
    const bench = await keptAfterFailure(resources);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(bench.of('eip').acquires).toBeGreaterThan(4);
    expect(bench.all('repair-failed')).toEqual([]);
  });

  it('nor what looks in from outside through an address that cannot be read', async () => {
    const inbound = new FakeResource('inbound', 'inbound', 'svc', 'eip', 'door');
    const resources = [...published(), inbound];
    const [, eip] = resources;
    Object.assign(eip ?? {}, { refusal: 'cloud-unreachable' });
    const bench = await keptAfterFailure(resources);
    Object.assign(bench.of('eip'), { state: 'unknown' });
    Object.assign(inbound, { refusal: 'no-data', acquireMs: 3000 });
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(inbound.acquires).toBeGreaterThan(2);
    expect(bench.all('repair-failed')).toEqual([]);
  });
});

describe('H4: what a repair rests on', () => {
  it('no service is started on data that has not been read yet, after a takeover that was kept', async () => {
    const data = new FakeResource('data', 'hook');
    // Its import fails, and its monitor takes longer than the first look waits for.
    Object.assign(data, { refusal: 'command-failed', probeMs: 400 });
    const bench = await keptAfterFailure([
      data,
      new FakeResource('svc', 'service', 'data'),
      new FakeResource('door', 'port-block', 'data', 'svc'),
    ]);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(data.acquires).toBeGreaterThan(2);
    expect(bench.of('svc').acquires).toBe(0);
    expect(bench.of('door').acquires).toBe(0);
    data.refusal = null;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(bench.of('door').state).toBe('held');
  });

  it('nor on data that cannot be read any more, while a cloud that cannot be read keeps nobody', async () => {
    const bench = await holding([
      new FakeResource('data', 'hook'),
      new FakeResource('eip', 'elastic-ip', 'data'),
      new FakeResource('svc', 'service', 'data', 'eip'),
    ]);
    bench.of('data').state = 'unknown';
    bench.of('svc').state = 'not-held';
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(bench.of('svc').acquires).toBe(1);
    bench.of('data').state = 'held';
    bench.of('eip').state = 'unknown';
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(bench.of('svc').state).toBe('held');
  });

  it('a repair opens no door in front of what was lost while it ran', async () => {
    const bench = await holding([
      new FakeResource('mount', 'mount'),
      new FakeResource('svc', 'service', 'mount'),
      new FakeResource('door', 'port-block', 'mount', 'svc'),
    ]);
    const of = (name: string): FakeResource => bench.of(name);
    Object.assign(of('svc'), { state: 'not-held', acquireMs: 5000 });
    of('mount').acquireMs = 50_000;
    await vi.advanceTimersByTimeAsync(3000);
    expect(of('svc').acquires).toBe(2);
    of('mount').state = 'not-held';
    for (let step = 0; step < 400; step += 1) {
      await vi.advanceTimersByTimeAsync(100);
      expect([of('door').state, of('mount').state]).not.toEqual(['held', 'not-held']);
    }
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(bench.resources.map(({ state }) => state)).toEqual(['held', 'held', 'held']);
  });

  it('H6: and what was called off because of that has not failed, however often', async () => {
    const bench = await holding([
      new FakeResource('mount', 'mount'),
      new FakeResource('svc', 'service', 'mount'),
    ]);
    for (let loss = 0; loss < 6; loss += 1) {
      Object.assign(bench.of('svc'), { state: 'not-held', acquireMs: 12_000 });
      await vi.advanceTimersByTimeAsync(6000);
      Object.assign(bench.of('mount'), { state: 'not-held', acquireMs: 9000 });
      await vi.advanceTimersByTimeAsync(11_000);
    }
    expect(bench.of('svc').acquires).toBeGreaterThan(4);
    expect(new Set(bench.all('repair-failed').map(({ name }) => name))).toEqual(new Set(['mount']));
  });
});
