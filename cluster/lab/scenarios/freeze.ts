import type { Scenario } from '../stage.ts';

const FREEZE_MS = 20_000;

export const freeze: Scenario = {
  name: 'freeze',
  about:
    'The holder stands still, long enough for the standby to take over, and goes on. What it had in hand must not complete: its watchdog resets it, or it gives everything up.',
  async run(stage) {
    const { holder, standby, lab } = stage;
    const before = stage.observer.last(holder);
    await stage.fault(`${holder} stands still`, () => lab.machine(holder).freeze());
    const frozenAt = performance.now();
    await stage.takenOver(standby);
    await stage.served();
    // The thaw must come after the takeover, however long that took.
    const leftMs = FREEZE_MS - (performance.now() - frozenAt);
    await new Promise((next) => setTimeout(next, Math.max(0, leftMs)));
    stage.say(`${holder} goes on`);
    lab.machine(holder).thaw();
    let thawedAs: string | null = null;
    let writes: number | null = null;
    await stage.waitFor(`${holder} holds nothing`, () => {
      const look = stage.observer.last(holder);
      if (look === null) return false;
      thawedAs ??= look.role;
      const isSameBoot = before !== null && look.uptimeS >= before.uptimeS;
      if (isSameBoot && look.role === 'Primary') writes = look.writes;
      return look.role === 'Secondary';
    });
    // One write may have been on its way when the node was stopped; it had been acknowledged by the standby's disk, or not at all.
    const completed = writes === null || before?.writes == null ? 0 : writes - before.writes;
    stage.note(
      `${holder} was ${thawedAs ?? 'gone'} when it was seen again, ${completed} writes since the last look before it stood still; it was reset ${lab.resets(holder)} times`,
    );
    await stage.restore();
  },
};
