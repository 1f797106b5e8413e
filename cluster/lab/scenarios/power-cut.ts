import type { Scenario } from '../stage.ts';

export const powerCut: Scenario = {
  name: 'power-cut',
  about:
    'The holder loses its power under write load. The standby takes over; the old one comes back as standby.',
  async run(stage) {
    const { holder, standby } = stage;
    await stage.fault(`${holder} loses its power`, () => stage.lab.powerOff(holder));
    await stage.takenOver(standby);
    await stage.served();
    await stage.restore([holder]);
    await stage.expectRole(holder, 'Secondary');
  },
};
