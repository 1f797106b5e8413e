import type { Scenario } from '../stage.ts';

export const linkCut: Scenario = {
  name: 'link-cut',
  about:
    'The standby is cut off on the replication network. DRBD freezes the writes and asks its handler, which commits that the standby is outdated; the holder goes on alone. When the cable is back, the standby is resynced.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    const before = (await lab.entries()).length;
    await stage.fault(`${standby} is cut off`, () => lab.cut(standby, 'repl'));
    await stage.waitFor(`${standby} is outdated in the log`, async () =>
      (await stage.entriesSince(before)).some(
        ({ body }) => body.kind === 'peer-outdated' && body.peer === standby,
      ),
    );
    await stage.served(3);
    await stage.expectRole(holder, 'Primary');
    await lab.heal(standby, 'repl');
    await stage.restore();
    const now = await lab.holder();
    stage.expect(now?.node === holder, `${now?.node} holds, not ${holder}`);
  },
};
