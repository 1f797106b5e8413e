import { promiseMs } from '../plan.ts';
import type { Scenario } from '../stage.ts';

const RESOURCE_FILE = '/etc/quorate/r0.res';
/** Several of them. */
const ELECTIONS_MS = 15_000;
const SLOW = 'c-plan-ahead 0; resync-rate 32k;';

export const staleStandby: Scenario = {
  name: 'stale-standby',
  about:
    'The standby loses its power, and the writes go on without it. While it catches up, the holder loses its power too. The stale one must not take over; when the holder is back, it serves again, with everything.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    // So slow that the resync is under way for long enough; the node that receives it sets the pace.
    await lab.must(standby, `sed -i 's/on-io-error detach;/& ${SLOW}/' ${RESOURCE_FILE} && sync`);
    await lab.powerOff(standby);
    stage.say(`${standby} loses its power`);
    await stage.served(10);
    await lab.powerOn(standby);
    await stage.waitFor(
      `${standby} is being resynced`,
      () => stage.observer.last(standby)?.connection === 'SyncTarget',
    );
    await stage.fault(`${holder} loses its power during the resync`, () => lab.powerOff(holder));
    const waitMs = promiseMs(lab.options.timing, lab.options.watchdog) + ELECTIONS_MS;
    await stage.neverHolds(standby, waitMs);
    stage.note(`${standby} did not take over for ${Math.round(waitMs / 1000)} s`);
    await lab.powerOn(holder);
    await stage.takenOver(holder);
    await stage.served();
    await lab.must(standby, `sed -i 's/ ${SLOW}//' ${RESOURCE_FILE} && sync`);
    await lab.must(standby, 'drbdadm disk-options --c-plan-ahead=0 --resync-rate=100M r0');
    await stage.restore();
  },
};
