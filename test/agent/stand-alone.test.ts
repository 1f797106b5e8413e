/** DRBD that stands alone: the log says from when to when, once, and by the holder only. */
import pino from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { StandAlone } from '../../src/agent/stand-alone.ts';
import { epoch, instant, type Proposal } from '../../src/core/index.ts';
import type { ExecutorEvent } from '../../src/executor/index.ts';
import { parseEvents } from '../../src/resources/drbd-events.ts';
import { roleProbe } from '../../src/resources/drbd-view.ts';
import { CAPTURES } from '../resources/drbd-captures.ts';

const HOUR = 3_600_000;
let nowMs = 0;
let proposals: Proposal[] = [];
let isRefusing = false;
let hold: { kind: string; epoch?: number } = { kind: 'held', epoch: 7 };
let alone: StandAlone;

beforeEach(() => {
  nowMs = 0;
  proposals = [];
  isRefusing = false;
  hold = { kind: 'held', epoch: epoch(7) };
  // The parts of a driver that it uses.
  const driver = {
    view: {
      mayHold: true,
      get hold() {
        return hold;
      },
    },
    propose: (proposal: Proposal) => {
      if (isRefusing) return { refused: 'a transfer is under way' };
      proposals.push(proposal);
      return { index: 1, term: 1 };
    },
  } as unknown as Driver;
  const clock = {
    now: () => instant(nowMs),
    wallMs: () => nowMs,
    after: () => ({ cancel: () => undefined }),
    sleep: async () => undefined,
  };
  alone = new StandAlone(driver, clock, pino({ level: 'silent' }));
});

function see(capture: keyof typeof CAPTURES | null): void {
  const seen = roleProbe(capture === null ? null : parseEvents(CAPTURES[capture], 'r0'));
  const resources = [{ name: 'block', kind: 'drbd', ...seen }];
  alone.onProbes({ kind: 'probes', resources } as unknown as Extract<ExecutorEvent, { kind: 'probes' }>);
}
const texts = (): string[] => proposals.map((one) => (one.kind === 'note' ? one.text : one.kind));

describe('the note', () => {
  it('is made once, and its end', () => {
    see('healthyPrimary');
    expect(texts()).toEqual([]);
    see('standAlone');
    see('standAlone');
    expect(texts()).toHaveLength(1);
    expect(texts()[0]).toMatch(
      /^degraded \(epoch 7\): block: DRBD stands alone .*; role Primary, disk UpToDate$/,
    );
    see('healthyPrimary');
    see('healthyPrimary');
    expect(texts().slice(1)).toEqual(['no longer degraded (epoch 7): block does not stand alone any more']);
  });

  it('D4: not again and again within an hour, and never ends with less than is so', () => {
    for (let flap = 0; flap < 5; flap++) {
      see('standAlone');
      see('healthyPrimary');
    }
    see('standAlone');
    expect(texts().map((text) => text.split(' (')[0])).toEqual([
      'degraded',
      'no longer degraded',
      'degraded',
    ]);
    nowMs = HOUR - 1;
    see('healthyPrimary');
    expect(texts()).toHaveLength(3);
    nowMs = HOUR;
    see('healthyPrimary');
    expect(texts()).toHaveLength(4);
    expect(texts().at(-1)).toMatch(/^no longer degraded/);
  });

  it('O3: is of its epoch: another tenure that stands alone is told, though the one before was', () => {
    see('standAlone');
    hold = { kind: 'none' };
    see('healthyPrimary');
    hold = { kind: 'held', epoch: epoch(9) };
    see('standAlone');
    see('healthyPrimary');
    expect(texts().map((text) => text.split(':')[0])).toEqual([
      'degraded (epoch 7)',
      'degraded (epoch 9)',
      'no longer degraded (epoch 9)',
    ]);
  });

  it('O3: an end without a beginning in its own epoch is not told', () => {
    see('standAlone');
    hold = { kind: 'held', epoch: epoch(9) };
    see('healthyPrimary');
    expect(texts()).toHaveLength(1);
  });

  it('what cannot be read is no end of it', () => {
    see('standAlone');
    see(null);
    expect(texts()).toHaveLength(1);
  });

  it('is tried again where it was refused', () => {
    isRefusing = true;
    see('standAlone');
    isRefusing = false;
    see('standAlone');
    expect(texts()).toHaveLength(1);
  });

  it("is the holder's", () => {
    hold = { kind: 'none' };
    see('standAlone');
    expect(texts()).toEqual([]);
  });
});
