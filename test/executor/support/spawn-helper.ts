/** A spawn helper as it ships, for a test that ends it. */
import { dirname, join } from 'node:path';
import { systemClock } from '../../../src/clock.ts';
import { NODE_MARK } from '../../../src/executor/commands.ts';
import { HelperSpawner } from '../../../src/executor/helper-spawner.ts';

/** Of a process that starts beside others: on a busy machine a start takes many times as long. */
const READY_LIMIT_MS = 25_000;

/** `program`: of the bundle, beside which it is. Resolves when it takes orders. */
export async function readyHelper(program: string, mark: string): Promise<HelperSpawner> {
  const helper = new HelperSpawner({
    program: join(dirname(program), 'spawn-helper.mjs'),
    mark: { [NODE_MARK]: mark },
    clock: systemClock,
  });
  await isReady(helper);
  return helper;
}

export async function isReady(helper: HelperSpawner): Promise<void> {
  for (let end = systemClock.now() + READY_LIMIT_MS; !helper.isReady; await systemClock.sleep(5)) {
    if (systemClock.now() > end) throw new Error('the helper is not ready');
  }
}
