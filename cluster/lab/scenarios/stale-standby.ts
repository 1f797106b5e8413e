import type { Scenario } from '../stage.ts';

const RESOURCE_FILE = '/etc/quorate/r0.res';
const SLOW = 'c-plan-ahead 0; resync-rate 32k;';
/** Longer than the promise and several elections. */
const WAIT_MS = 25_000;

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
    await stage.served(200);
    await lab.powerOn(standby);
    await stage.waitFor(
      `${standby} is being resynced`,
      () => stage.observer.last(standby)?.connection === 'SyncTarget',
    );
    await stage.fault(`${holder} loses its power during the resync`, () => lab.powerOff(holder));
    await stage.neverHolds(standby, WAIT_MS);
    stage.note(`${standby} did not take over for ${WAIT_MS / 1000} s`);
    await lab.powerOn(holder);
    await stage.takenOver(holder);
    await stage.served();
    await lab.must(standby, `sed -i 's/ ${SLOW}//' ${RESOURCE_FILE} && sync`);
    await lab.must(standby, 'drbdadm disk-options --c-plan-ahead=0 --resync-rate=100M r0');
    await stage.restore();
  },
};
