import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { afterAll, expect, test } from 'vitest';
import { ownTimeMs } from './own-time.ts';

const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

const SPAN_MS = 100;

/** What the clock says of a wait of `SPAN_MS`, by both clocks. */
async function waited(): Promise<{ own: number; wall: number }> {
  const [own, wall] = [ownTimeMs(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, SPAN_MS));
  return { own: ownTimeMs() - own, wall: performance.now() - wall };
}

/** The same while the loop computes. */
function computed(): { own: number; wall: number } {
  const [own, wall] = [ownTimeMs(), performance.now()];
  for (const end = wall + SPAN_MS; performance.now() < end; );
  return { own: ownTimeMs() - own, wall: performance.now() - wall };
}

test('goes on while the process waits for something else than a processor', async () => {
  const { own, wall } = await waited();
  expect(own).toBeGreaterThan(SPAN_MS / 2);
  expect(own).toBeLessThan(wall + 1);
});

test('stands still while others have the processors', async () => {
  for (let count = 0; count < 2 * availableParallelism(); count++)
    children.push(
      spawn(process.execPath, ['-e', 'setTimeout(process.exit, 20_000); for (;;);'], { stdio: 'ignore' }),
    );
  // They take their time to start.
  const deadline = performance.now() + 15_000;
  for (;;) {
    const { own, wall } = computed();
    if (own < 0.9 * wall) return;
    expect(performance.now(), `own ${own.toFixed(0)} of ${wall.toFixed(0)} ms`).toBeLessThan(deadline);
    await new Promise((resolve) => setImmediate(resolve));
  }
});
