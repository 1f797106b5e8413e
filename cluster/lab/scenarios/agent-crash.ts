import type { Scenario } from '../stage.ts';

export const agentCrash: Scenario = {
  name: 'agent-crash',
  about:
    "The holder's agent is killed. Its executor gives everything up and says so, and the standby takes over.",
  async run(stage) {
    const { holder, standby, lab } = stage;
    await stage.fault(`the agent of ${holder} is killed`, () =>
      lab.must(holder, 'kill -9 "$(cat /run/lab/agent.pid)"'),
    );
    await stage.movedOrKept([standby, holder]);
    await stage.served();
    await stage.restore();
  },
};
