/** `quorate switchover --at | --in | --cancel`, against the admin service with an agent that answers what it is told. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { plain } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';
import { renderStatus } from '../../src/cli/status-text.ts';
import { EXIT } from '../../src/errors.ts';
import { type FakeAgent, identities, SCHEDULED, STATUS, startFakeAgent } from '../admin/fake.ts';
import { captured } from './captured.ts';

let agent: FakeAgent;
beforeAll(async () => {
  agent = await startFakeAgent(await identities());
});
afterAll(() => agent.close());
beforeEach(() => {
  agent.backend.asked.length = 0;
  agent.backend.statusDocument = STATUS;
});

const quorate = (...words: string[]) =>
  captured(() => run(['switchover', ...words, '--config', join(agent.directory, 'q.yaml')]));

describe('a switchover at a later time', () => {
  it('is ordered for a time or for a while from now, and said with what would be in its way today', async () => {
    const { code, out } = await quorate('--to', 'b', '--at', '2026-01-03T03:00+01:00', '--why', 'new switch');
    expect(code).toBe(EXIT.done);
    expect(out.replaceAll(/\s+/g, ' ')).toMatch(
      /^scheduled: switchover to b at 2026-01-03T02:00:00.000Z \(entry 17\), not begun after .* now it would be refused, .* reachable no b does not answer $/,
    );
    await quorate('--in', '90min', '--expect-epoch', '8', '--request-id', 'request-1');
    expect(agent.backend.asked).toMatchObject([
      { schedule: { to: 'b', when: { kind: 'at', ms: Date.UTC(2026, 0, 3, 2) }, why: 'new switch' } },
      {
        schedule: { to: null, when: { kind: 'in', ms: 5_400_000 }, requestId: 'request-1', expectedEpoch: 8 },
      },
    ]);
  });

  it('--dry-run and --json', async () => {
    expect((await quorate('--in', '2h', '--dry-run')).out).toMatch(
      /^would be scheduled: switchover to the best/,
    );
    const { out } = await quorate('--in', '2h', '--json', '--to', 'b');
    expect(JSON.parse(out)).toMatchObject({
      dryRun: false,
      alreadyDone: false,
      schedule: { id: 17, epoch: 8 },
    });
  });

  it('is cancelled', async () => {
    const { code, out } = await quorate('--cancel', '--why', 'not tonight');
    expect([code, out.replaceAll(/\s+/g, ' ')]).toEqual([
      EXIT.done,
      'scheduled: switchover to b at 2026-01-03T02:00:00.000Z (entry 17) is off: not tonight ',
    ]);
    expect(agent.backend.asked).toMatchObject([{ cancel: { id: null, why: 'not tonight' } }]);
  });

  it.each([
    [['--at', '2026-02-30T01:00Z'], 'not in the calendar'],
    [['--at', '2026-01-03'], 'no time of the day'],
    [['--at', 'tonight'], 'is not a time'],
    [['--in', '5'], 'is not a duration'],
    [['--in', '5min', '--at', '2026-01-03T01:00Z'], 'not both'],
    [['--cancel', '--to', 'b'], 'goes with none of'],
    [['--why', 'x'], 'goes with --at'],
  ])('%j is refused before anybody is asked', async (words, why) => {
    const { code, err } = await quorate(...words);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(why)]);
    expect(agent.backend.asked).toEqual([]);
  });
});

describe('quorate status', () => {
  const status = (...words: string[]) =>
    captured(() => run(['status', ...words, '--config', join(agent.directory, 'q.yaml')]));

  it('has it, in 80 columns, and --json only where there is one', async () => {
    expect(JSON.parse((await status('--json')).out)).not.toHaveProperty('scheduled');
    agent.backend.statusDocument = { ...STATUS, scheduled: SCHEDULED };
    expect(JSON.parse((await status('--json')).out).scheduled).toEqual(SCHEDULED);
    const expired = { ...SCHEDULED, state: 'ended', outcome: 'expired', result: 'y '.repeat(100) } as const;
    const lines = renderStatus({ ...STATUS, scheduled: expired }, plain, null);
    expect(lines.join(' ')).toContain('has expired: y');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});
