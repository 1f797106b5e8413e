/** The status, live: what is told, when, and what becomes of those who do not read. */
import { EventEmitter } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdminClient, AdminServer, type StatusDocument } from '../../src/admin/index.ts';
import { MAX_WATCHERS, StatusFeed, WATCH_TIMES, type WatchCall } from '../../src/admin/watch.ts';
import { type FakeAgent, FakeBackend, type Identities, identities, STATUS, startFakeAgent } from './fake.ts';

/** A caller whose other end takes an event only where the test says so. */
class FakeCall extends EventEmitter {
  readonly events: { status?: StatusDocument }[] = [];
  readonly failures: { details?: string }[] = [];
  isEnded = false;
  #taken: (() => void)[] = [];

  readonly isPrompt: boolean;

  constructor(isPrompt = true) {
    super();
    this.isPrompt = isPrompt;
    this.on('error', (error) => this.failures.push(error));
  }
  write(event: { status?: StatusDocument }, done: () => void): boolean {
    this.events.push(event);
    if (this.isPrompt) setImmediate(done);
    else this.#taken.push(done);
    return true;
  }
  take(): void {
    this.#taken.shift()?.();
  }
  end(): void {
    this.isEnded = true;
  }
  get terms(): (number | undefined)[] {
    return this.events.map(({ status }) => status?.term);
  }
}
const asCall = (call: FakeCall): WatchCall => call as unknown as WatchCall; // as much of one as the feed uses

describe('the feed', () => {
  let backend: FakeBackend;
  let feed: StatusFeed;
  let reads = 0;
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'performance'],
    });
    backend = new FakeBackend();
    reads = 0;
    const status = () => {
      reads += 1;
      return backend.status();
    };
    feed = new StatusFeed({ status, onChange: (listener) => backend.onChange(listener) }, (one) => one);
  });
  afterEach(() => vi.useRealTimers());

  it('sends the whole at once, a change after a moment, and many changes in one', async () => {
    const call = new FakeCall();
    feed.add(asCall(call));
    expect(call.terms).toEqual([3]);
    for (const term of [4, 5, 6]) backend.change({ term });
    expect(call.terms).toEqual([3]);
    await vi.advanceTimersByTimeAsync(WATCH_TIMES.gatherMs);
    expect(call.terms).toEqual([3, 6]);
  });

  it('finds within a second what no step tells; the lease alone is no change', async () => {
    const call = new FakeCall();
    feed.add(asCall(call));
    backend.statusDocument = { ...STATUS, lease: { remainingMs: 1 } };
    await vi.advanceTimersByTimeAsync(2 * WATCH_TIMES.lookEveryMs);
    expect(call.terms).toEqual([3]);
    backend.statusDocument = { ...STATUS, resources: [] };
    await vi.advanceTimersByTimeAsync(WATCH_TIMES.lookEveryMs);
    expect(call.events.at(-1)?.status?.resources).toEqual([]);
  });

  it('says that it is there where nothing changes', async () => {
    const call = new FakeCall();
    feed.add(asCall(call));
    await vi.advanceTimersByTimeAsync(WATCH_TIMES.aliveMs + WATCH_TIMES.lookEveryMs);
    expect(call.events).toHaveLength(2);
    expect(call.events[1]).toEqual({});
  });

  it('queues nothing for a slow reader: it gets the newest, and the others are not held up', async () => {
    const [slow, prompt] = [new FakeCall(false), new FakeCall()];
    feed.add(asCall(slow));
    feed.add(asCall(prompt));
    for (const term of [4, 5, 6]) {
      backend.change({ term });
      await vi.advanceTimersByTimeAsync(WATCH_TIMES.gatherMs);
    }
    expect(slow.terms).toEqual([3]);
    expect(prompt.terms).toEqual([3, 4, 5, 6]);
    slow.take();
    expect(slow.terms).toEqual([3, 6]);
  });

  it('cuts off who takes nothing, and forgets it', async () => {
    const call = new FakeCall(false);
    feed.add(asCall(call));
    await vi.advanceTimersByTimeAsync(WATCH_TIMES.slowMs);
    expect(call.failures.map(({ details }) => details)).toEqual(['nothing was read for 10 s']);
    const readsThen = reads;
    await vi.advanceTimersByTimeAsync(10 * WATCH_TIMES.lookEveryMs);
    expect([reads, backend.listeners.size, vi.getTimerCount()]).toEqual([readsThen, 0, 0]);
  });

  it('reads and times nothing when the last one has left', async () => {
    const calls = [new FakeCall(), new FakeCall()];
    for (const call of calls) feed.add(asCall(call));
    const readsBefore = reads;
    await vi.advanceTimersByTimeAsync(WATCH_TIMES.lookEveryMs);
    expect(reads).toBe(readsBefore + 1); // once for both
    for (const call of calls) call.emit('cancelled');
    await vi.advanceTimersByTimeAsync(WATCH_TIMES.lookEveryMs);
    expect([backend.listeners.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('takes no more than its limit', () => {
    for (let count = 0; count < MAX_WATCHERS; count++) feed.add(asCall(new FakeCall()));
    expect(() => feed.add(asCall(new FakeCall()))).toThrow(/watch already/);
  });
});

describe('over the wire', () => {
  let known: Identities;
  let agent: FakeAgent;
  beforeAll(async () => {
    known = await identities();
    agent = await startFakeAgent(known);
  });
  afterAll(() => agent.close());

  it('a viewer sees the status and its changes, in whole, until the agent ends', async () => {
    const backend = new FakeBackend();
    const server = new AdminServer({
      ...{ listen: '127.0.0.1:0', cluster: 'nas-prod', tls: known.a, backend },
      isWell: () => true,
    });
    const address = `127.0.0.1:${await server.start()}`;
    const client = new AdminClient({ address, tls: known.viewer, who: 'x' });
    const seen: StatusDocument[] = [];
    for await (const status of client.watchStatus(AbortSignal.timeout(20_000))) {
      seen.push(status);
      if (seen.length === 1) backend.change({ holder: null, epoch: null });
      if (seen.length === 2) void server.close();
    }
    expect(seen).toEqual([STATUS, { ...STATUS, holder: null, epoch: null }]);
    client.close();
  });

  it('ends when the caller wants, and leaves nothing behind', async () => {
    const client = new AdminClient({ address: agent.address, tls: known.viewer, who: 'x' });
    const ending = new AbortController();
    for await (const _ of client.watchStatus(ending.signal)) ending.abort();
    await expect.poll(() => agent.backend.listeners.size).toBe(0);
    client.close();
  });

  it('is refused to who is not of the cluster', async () => {
    const client = new AdminClient({ address: agent.address, tls: known.stranger, who: 'x' });
    await expect(client.watchStatus(AbortSignal.timeout(10_000)).next()).rejects.toMatchObject({
      code: 'agent-unreachable',
    });
    client.close();
  });
});
