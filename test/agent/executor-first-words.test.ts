/** What an executor hears of an agent that has just been started, before it is said hello to. */
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Agent } from '../../src/agent/agent.ts';
import type { AgentParts } from '../../src/agent/agent-parts.ts';
import type { Config } from '../../src/config/index.ts';
import { deriveTiming, type Entry, logIndex, nodeId, type Timing, term } from '../../src/core/index.ts';
import type { RecoveredLog } from '../../src/log/index.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';
import { a, chain, elected, config as firstEntry } from '../state/story.ts';

const withRelease = (releaseMs: number): Timing =>
  deriveTiming({
    ...{ heartbeatMs: 100, leaseMs: 500, guardMs: 25, watchdogTimeoutMs: null, clockErrorRate: 0.005 },
    releaseMs,
  });

const HARD_STATE = { term: term(2), votedFor: null, commitIndex: logIndex(1), damaged: null };

/** The file says ten seconds. */
async function heardWith(entries: readonly Entry[]): Promise<unknown[]> {
  const heard: unknown[] = [];
  const config = {
    node: a,
    cluster: 'test',
    members: [],
    resources: [],
    replication: null,
  } as never as Config;
  const recovered: RecoveredLog = {
    ...{ status: 'clean', hardState: HARD_STATE, damage: null, problems: [] },
    entries,
  };
  const agent = new Agent(config, pino({ level: 'silent' }), {
    clock: new VirtualClock(),
    timing: withRelease(10_000),
    executor: {
      setTiming: ({ releaseMs }: Timing) => void heard.push(releaseMs),
      start: () => {
        heard.push('hello');
        return Promise.reject(new Error('this is all that is wanted'));
      },
      close: () => Promise.resolve(),
    },
    openLog: () =>
      Promise.resolve({
        store: { persist: () => Promise.resolve(), close: () => Promise.resolve() },
        recovered,
      }),
    diskMarks: { read: () => Promise.resolve(null) },
    transport: () => ({ start: () => Promise.resolve(), close: () => Promise.resolve() }),
  } as never as AgentParts);
  await expect(agent.run()).rejects.toThrow('this is all');
  return heard;
}

describe('L8: the timing that an executor is told first', () => {
  it('is the file’s where there is no log', async () => {
    expect(await heardWith([])).toEqual([10_000, 'hello']);
  });

  it('is the log’s otherwise, committed or not: a release that runs goes by the D that the promise covers', async () => {
    const shorter = firstEntry({ timing: withRelease(2_000) });
    const entries = chain([1, firstEntry()], [1, elected(a)], [1, shorter], [2, elected(nodeId('b'))]);
    expect(await heardWith(entries)).toEqual([2_000, 'hello']);
  });
});
