/** How long a start rests between two looks, where each look takes long. The child is real, the time is not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { deriveTiming, instant, nodeId } from '../../src/core/index.ts';
import { createExecutorClient } from '../../src/executor/index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-start-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

const LOOK_MS = 50;
const timing = deriveTiming({
  ...{ heartbeatMs: 100, leaseMs: 600, releaseMs: 1_000, guardMs: 25 },
  ...{ watchdogTimeoutMs: null, clockErrorRate: 0.001 },
});

/** Of a child that never takes its lock: every rest until the start is given up. */
async function rests(how: 'start' | 'replace'): Promise<number[]> {
  const program = join(directory, 'child.mjs');
  // It ends by itself: nobody else does that.
  writeFileSync(program, 'setTimeout(() => {}, 3_000);\n');
  let now = 0;
  const rested: number[] = [];
  vi.spyOn(systemClock, 'now').mockImplementation(() => {
    now += LOOK_MS;
    return instant(now);
  });
  vi.spyOn(systemClock, 'sleep').mockImplementation((ms) => {
    rested.push(ms);
    return new Promise((resolve) => setImmediate(resolve));
  });
  const client = createExecutorClient({
    ...{ node: nodeId('a'), cluster: 'nas', configFile: 'q.yaml', dataDir: directory, members: new Map() },
    ...{
      program,
      timing,
    },
  });
  const begun = how === 'start' ? client.start(() => undefined) : client.replace();
  await expect(begun).rejects.toMatchObject({ code: 'executor-unreachable' });
  return rested;
}

it('leaves the processor to a child that starts slowly', async () => {
  expect(new Set(await rests('start'))).toEqual(new Set([200]));
});

it('O1: looks at least ten times a second for one that stands in for another: it is to release, and the promise runs', async () => {
  expect(new Set(await rests('replace'))).toEqual(new Set([100]));
});
