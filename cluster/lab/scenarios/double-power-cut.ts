import type { Scenario } from '../stage.ts';

export const doublePowerCut: Scenario = {
  name: 'double-power-cut',
  about:
    'Both data nodes lose their power at once, and only the former standby comes back. It has every acknowledged write and takes over alone; then the other one comes back, too.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    await stage.fault('both data nodes lose their power', () =>
      Promise.all([lab.powerOff(holder), lab.powerOff(standby)]),
    );
    await lab.powerOn(standby);
    await stage.takenOver(standby);
    await stage.served();
    await stage.restore([holder]);
  },
};
