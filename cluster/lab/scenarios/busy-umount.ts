import { fileOn } from '../plan.ts';
import type { Scenario } from '../stage.ts';

export const busyUmount: Scenario = {
  name: 'busy-umount',
  about:
    "A process of somebody else keeps the holder's file system busy while its agent dies. Within its time the release kills who is in the way, unmounts, and gives the role up. (A bare device's users are nobody's to kill: the watchdog ends them.)",
  async run(stage) {
    const { holder, standby, lab } = stage;
    const file = fileOn(lab.options.storage, 'busy');
    await lab.must(holder, `setsid sleep 1000 >>${file} 2>&1 & echo $! >/run/lab/busy.pid`);
    await stage.fault(`the agent of ${holder} is killed, with a user on its storage`, () =>
      lab.must(holder, 'kill -9 "$(cat /run/lab/agent.pid)"'),
    );
    await stage.movedOrKept([standby, holder]);
    await stage.served();
    const left = await lab.run(holder, 'kill -0 "$(cat /run/lab/busy.pid)"');
    stage.expect(left.exit !== 0, 'the process that kept the storage busy lives on');
    await stage.restore();
  },
};
