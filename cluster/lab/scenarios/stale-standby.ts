import type { Scenario } from '../stage.ts';

export const staleStandby: Scenario = {
  name: 'stale-standby',
  about:
    'The standby loses its power, and the writes go on without it. While it catches up, the holder loses its power too. The stale one must not take over; when the holder is back, it serves again, with everything.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    await lab.powerOff(standby);
    stage.say(`${standby} loses its power`);
    await stage.served(200);
    // So slow that the resync is under way for long enough.
    await lab.must(
      holder,
      'drbdadm disk-options --c-max-rate=250k --c-min-rate=100k --c-fill-target=0 --resync-rate=100k --c-plan-ahead=0 r0',
    );
    await lab.powerOn(standby);
    await stage.waitFor(
      `${standby} is being resynced`,
      () => stage.observer.last(standby)?.connection === 'SyncTarget',
    );
    await stage.fault(`${holder} loses its power during the resync`, () => lab.powerOff(holder));
    // Long enough for a promise and several elections; nobody may hold for all of it.
    await stage.neverHolds(standby, 12_000);
    await lab.powerOn(holder);
    await stage.takenOver(holder);
    await stage.served();
    await stage.restore();
  },
};
