import { promiseMs } from '../plan.ts';
import type { Scenario } from '../stage.ts';

/** Several of them. */
const ELECTIONS_MS = 15_000;

export const staleStandby: Scenario = {
  name: 'stale-standby',
  about:
    'The standby loses its power, and the writes go on without it. While it catches up, the holder loses its power too. The stale one must not take over; when the holder is back, it serves again, with everything.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    stage.say(`${standby} loses its power`);
    await lab.powerOff(standby);
    await stage.served(10);
    // The resync begins, and does not get on: it is under way for as long as this takes. A reboot forgets that.
    await lab.must(holder, 'drbdadm pause-sync r0');
    await lab.powerOn(standby);
    await stage.waitFor(`${standby} is being resynced`, () => {
      const look = stage.observer.last(standby);
      return (
        /^(Paused)?SyncT/.test(look?.connection ?? '') && look?.disks?.startsWith('Inconsistent') === true
      );
    });
    await stage.fault(`${holder} loses its power during the resync`, () => lab.powerOff(holder));
    const waitMs = promiseMs(lab.options.timing, lab.options.watchdog) + ELECTIONS_MS;
    await stage.neverHolds(standby, waitMs);
    stage.note(`${standby} did not take over for ${Math.round(waitMs / 1000)} s`);
    await lab.powerOn(holder);
    await stage.takenOver(holder);
    await stage.served();
    await stage.restore();
  },
};
