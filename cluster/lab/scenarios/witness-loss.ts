import type { Scenario } from '../stage.ts';

export const witnessLoss: Scenario = {
  name: 'witness-loss',
  about:
    'The witness loses its power: nothing happens. Then the standby loses its power, too: the holder is alone, its writes freeze, and it gives everything up. When the witness is back, the holder serves again.',
  stopsClientHost: true,
  async run(stage) {
    const { holder, standby, lab } = stage;
    stage.say('the witness loses its power');
    await lab.powerOff('w');
    await stage.served(5);
    await stage.expectRole(holder, 'Primary');
    await stage.fault(`${standby} loses its power`, () => lab.powerOff(standby));
    await stage.waitFor(`${holder} has given up`, () => stage.role(holder) === 'Secondary');
    await lab.powerOn('w');
    await stage.takenOver(holder);
    await stage.served();
    await stage.restore([standby]);
  },
};
