import type { Scenario } from '../stage.ts';

export const isolation: Scenario = {
  name: 'isolation',
  about:
    'The holder is cut off from both others on the replication network. Its writes freeze (DRBD asks its handler, which has no quorum), its lease ends, and it gives everything up or is reset; the standby takes over.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    await stage.fault(`${holder} is cut off`, () => lab.cut(holder, 'repl'));
    await stage.takenOver(standby);
    await stage.served();
    await stage.waitFor(`${holder} is not Primary`, () => stage.role(holder) === 'Secondary');
    const uptimeS = stage.observer.last(holder)?.uptimeS ?? 0;
    const wasReset = uptimeS < stage.sinceFaultMs() / 1000;
    stage.note(`${holder} ${wasReset ? 'was reset' : 'gave everything up by itself'}`);
    await lab.heal(holder, 'repl');
    await stage.restore();
  },
};
