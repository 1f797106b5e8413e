/** How often the executor looks (H4, O2), in virtual time. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Clock, sleepOn, systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { Observer } from '../../src/executor/observer.ts';
import type { ProbeResult, Resource } from '../../src/resources/index.ts';

const clock: Clock = {
  ...systemClock,
  now: () => instant(Date.now()),
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
};

/** Counts the probes of one resource, each of which takes `probeMs`. */
class Looked {
  probes = 0;
  probeMs: number;
  readonly observer: Observer;

  constructor(kind: Resource['kind'], probeMs: number) {
    this.probeMs = probeMs;
    const probe = async (): Promise<ProbeResult> => {
      this.probes += 1;
      await clock.sleep(this.probeMs);
      return { probe: 'held', detail: 'held' };
    };
    this.observer = new Observer([{ name: 'it', kind, probe }], clock, { peers: {}, disk: 'up-to-date' });
    this.observer.setHolding(true);
  }

  /** As the executor does: asked once a second. */
  async during(ms: number): Promise<number> {
    const before = this.probes;
    for (let passed = 0; passed < ms; passed += 1000) {
      void this.observer.look();
      await vi.advanceTimersByTimeAsync(1000);
    }
    return this.probes - before;
  }
}

const MINUTE = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => vi.useRealTimers());

describe('looking on a slow host', () => {
  it('a quick probe runs every two seconds', async () => {
    expect(await new Looked('service', 20).during(MINUTE)).toBe(30);
  });

  it('a probe that takes a second has a tenth of the time', async () => {
    expect(await new Looked('service', 990).during(MINUTE)).toBe(6);
  });

  it('one that takes ever longer still runs at the pace of an idle node', async () => {
    expect(await new Looked('service', 2900).during(MINUTE)).toBe(4);
  });

  it('O2: an address is read every second after a takeover, however long the cloud takes', async () => {
    expect(await new Looked('elastic-ip', 900).during(30_000)).toBe(30);
  });

  it('H4: what is asked for at once does not wait', async () => {
    const slow = new Looked('service', 990);
    await slow.during(2000);
    expect(slow.probes).toBe(1);
    slow.observer.probeSoon();
    await slow.during(1000);
    expect(slow.probes).toBe(2);
  });

  it('H4: asked for during a probe, another one follows it', async () => {
    const slow = new Looked('service', 1500);
    void slow.observer.look();
    await vi.advanceTimersByTimeAsync(500);
    slow.observer.probeSoon();
    await slow.during(3000);
    expect(slow.probes).toBe(2);
  });
});
