import type { Scenario } from '../stage.ts';

export const switchover: Scenario = {
  name: 'switchover',
  about: 'A planned switchover under write load.',
  async run(stage) {
    const { holder, standby } = stage;
    await stage.fault(`switchover from ${holder} to ${standby}`, () => stage.lab.switchover(holder));
    await stage.takenOver(standby);
    await stage.served();
    await stage.restore();
    await stage.expectRole(holder, 'Secondary');
  },
};
