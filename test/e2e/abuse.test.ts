/** A tenth of `npm run abuse`: the listeners of a live holder under abuse cost nothing that counts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { abuse, faultsOf } from '../../scripts/abuse/abuse.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist);
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program?.remove();
});

test('garbage, mutated and oversized messages, idle connections, slow readers, wrong certificates, replayed ids', async () => {
  const holder = await stage.healthy();
  const report = await abuse(stage.cluster, holder, 0.1, () => undefined);
  expect(report.thrown).toBeGreaterThan(1_000);
  expect(faultsOf(report), JSON.stringify(report)).toEqual([]);
}, 180_000);
