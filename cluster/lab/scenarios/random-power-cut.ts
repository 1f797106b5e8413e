import { DATA_NODES, type DataNode } from '../hosts.ts';
import type { Scenario } from '../stage.ts';

const MOST_MS = 4_000;

/** For `--times 100`: drawn anew each time, and noted. */
export const randomPowerCut: Scenario = {
  name: 'random-power-cut',
  about:
    'At a random moment under write load the holder, the standby or both lose their power. Whoever may hold, holds; what comes back catches up.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    const victims = drawn<readonly DataNode[]>([[holder], [standby], DATA_NODES]);
    const afterMs = Math.floor(Math.random() * MOST_MS);
    await new Promise((next) => setTimeout(next, afterMs));
    await stage.fault(`${victims.join(' and ')} lose power`, () =>
      Promise.all(victims.map((node) => lab.powerOff(node))),
    );
    stage.note(`${victims.join(' and ')} after ${afterMs} ms`);
    if (victims.length === 1) await stage.served();
    await stage.restore(Math.random() < 0.5 ? victims : victims.toReversed());
    for (const node of DATA_NODES)
      stage.expect(await isReplicating(stage, node), `${node} does not replicate: a split brain?`);
  },
};

const isReplicating = (stage: Parameters<Scenario['run']>[0], node: DataNode): Promise<boolean> =>
  stage
    .waitFor(`DRBD of ${node} is connected`, () => stage.observer.last(node)?.connection === 'Connected')
    .then(
      () => true,
      () => false,
    );

function drawn<Value>(values: readonly Value[]): Value {
  const value = values[Math.floor(Math.random() * values.length)];
  if (value === undefined) throw new RangeError('nothing to draw from');
  return value;
}
