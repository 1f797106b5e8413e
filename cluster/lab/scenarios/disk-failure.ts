import type { Scenario } from '../stage.ts';

export const diskFailure: Scenario = {
  name: 'disk-failure',
  about:
    "The holder's disk fails under load: DRBD detaches it and goes on over the standby's. The holder takes itself out and hands over; no write is lost.",
  async run(stage) {
    const { holder, standby, lab } = stage;
    // What DRBD does by itself at the first error of the lower device (on-io-error detach).
    await stage.fault(`the disk of ${holder} fails`, () => lab.must(holder, 'drbdadm detach --force r0/0'));
    await stage.takenOver(standby);
    await stage.served();
    // The whole disk is copied: as fast as it can.
    await lab.must(
      holder,
      'drbdadm attach r0/0 && drbdadm disk-options --c-plan-ahead=0 --resync-rate=100M r0',
    );
    await stage.restore();
  },
};
