import type { Scenario } from '../stage.ts';

export const executorHang: Scenario = {
  name: 'executor-hang',
  about:
    "The holder's executor stops, and with it the guard that pets the watchdog: the host is reset. The standby takes over, or, where the host is back so soon that DRBD copies from it, the host itself serves again.",
  async run(stage) {
    const { holder, standby, lab } = stage;
    const before = lab.resets(holder);
    await stage.fault(`the executor of ${holder} stands still`, () =>
      lab.must(holder, 'kill -STOP "$(cat /run/lab/executor.pid)"'),
    );
    await stage.waitFor(`${holder} is reset by its watchdog`, () => lab.resets(holder) > before);
    stage.note(`${holder} was reset after ${Math.round(stage.sinceFaultMs())} ms`);
    await stage.movedOrKept([standby, holder]);
    await stage.served();
    await stage.restore();
  },
};
