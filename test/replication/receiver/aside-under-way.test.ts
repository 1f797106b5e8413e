/** While something is being set aside nothing of the pool could be planned with: the answer says so, and does not hold it up. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { nodeId } from '../../../src/core/index.ts';
import { Receiver } from '../../../src/replication/receiver/index.ts';
import { registerAside } from '../../../src/replication/receiver/roles.ts';

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'quorate-aside-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

it('is said without a reading, and read again when it has ended', async () => {
  let readings = 0;
  const receiver = new Receiver({
    ...{ self: nodeId('b'), peer: nodeId('a'), pools: ['tank', 'dozer'], dataDir, clock: systemClock },
    authority: { ask: async () => ({ kind: 'unknown', why: 'nobody asks' }) },
    commands: { run: async () => ({ kind: 'aborted' }) },
    hasDevice: async () => false,
    read: async () => {
      readings += 1;
      return { version: 1, pools: [{ kind: 'absent', name: 'tank', why: 'exported' }] };
    },
  });
  const aside = await registerAside(dataDir, 'tank', { peer: 'a', epoch: 20 });
  const why = 'what only this node has of tank is being set aside';
  expect((await receiver.read()).pools).toEqual([
    { kind: 'unknown', name: 'tank', why },
    { kind: 'unknown', name: 'dozer', why },
  ]);
  expect(readings).toBe(0);
  await aside.remove();
  expect((await receiver.read()).pools).toMatchObject([{ kind: 'absent' }]);
});
