import type { Scenario } from '../stage.ts';

const FILL = '/var/lib/quorate/fill';
const LOOK_LIMIT_MS = 30_000;

export const logFull: Scenario = {
  name: 'log-full',
  about:
    "The disk of the holder's log is full. With the next entry its agent ends (D3), everything is given up, the standby takes over. With room again the node comes back by itself.",
  async run(stage) {
    const { holder, standby, lab } = stage;
    // Ends with an error when nothing more fits, as it should.
    await lab.run(
      holder,
      `for size in 64k 1k; do dd if=/dev/zero of=${FILL} bs=$size oflag=append conv=notrunc; done; sync`,
    );
    const agent = await lab.must(holder, 'cat /run/lab/agent.pid');
    await stage.fault(`nothing more fits on the disk of ${holder}, and an entry comes`, () =>
      // It may be refused, or end with the agent: what counts is who holds in the end.
      lab.switchover(holder).catch(() => undefined),
    );
    await stage.takenOver(standby);
    await stage.served();
    await stage.waitFor(
      `the agent of ${holder} has ended`,
      async () => (await lab.run(holder, `[ -d /proc/${agent.trim()} ]`)).exit === 1,
      LOOK_LIMIT_MS,
    );
    stage.say(`${holder} has room again`);
    await lab.must(holder, `rm ${FILL} && sync`);
    await stage.restore();
    await stage.expectRole(holder, 'Secondary');
  },
};
