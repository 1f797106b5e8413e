import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { Upkeep } from '../../src/agent/upkeep.ts';
import { type EntryBody, epoch } from '../../src/core/index.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';
import { a, b, chain, elected, config as firstEntry, granted } from '../state/story.ts';

const OUT: EntryBody = { kind: 'peer-outdated', peer: b, epoch: epoch(3) };

/** Node a holds, b is out, and the I/O is still suspended: the reply to DRBD's handler was lost. */
function resumedWhile(restart: object | null): number[] {
  const entries = chain([1, firstEntry()], [1, elected(a)], [1, granted(a)], [1, OUT]);
  const resumed: number[] = [];
  const view = {
    self: a,
    mayHold: true,
    hold: { kind: 'held', epoch: epoch(3) },
    leadership: { restart },
    commitIndex: entries.length,
    state: { inSync: [a] },
    log: { all: entries, membership: firstEntry() },
  };
  const executor = { resumeIo: (of: number) => void resumed.push(of), look: () => undefined };
  const upkeep = new Upkeep(
    { view } as unknown as Driver,
    executor,
    new VirtualClock(),
    pino({ level: 'silent' }),
  );
  upkeep.onProbes({ kind: 'probes', resources: [], peers: {}, disk: 'up-to-date', ioSuspended: true });
  return resumed;
}

describe('a lost reply of a handler (H3)', () => {
  it('is made good by the holder', () => {
    expect(resumedWhile(null)).toEqual([3]);
  });

  it('but not by a process that goes away: nobody would know how that has ended, and the peer could come back meanwhile (L7)', () => {
    expect(resumedWhile({ durationMs: 5_000 })).toEqual([]);
  });
});
