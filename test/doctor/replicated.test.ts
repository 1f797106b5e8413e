/** A replicated pool: there all the time, and recent enough for a takeover by itself. */
import { expect, it } from 'vitest';
import type { Entry } from '../../src/core/index.ts';
import { replicatedCheck } from '../../src/doctor/replicated.ts';
import { GOOD } from '../config/fixture.ts';
import { a, b, chain, elected, config as firstEntry, granted } from '../state/story.ts';
import { brief, configOf, contextOf, exited, type FakeHost, one } from './support.ts';

const COMMAND =
  'zfs get -H -p -o property,value,source quorate:complete,quorate:written,quorate:complete-of tank';
const STATE = '/proc/spl/kstat/zfs/tank/state';
const TEXT = `${GOOD.slice(0, GOOD.indexOf('resources:')).replace('max_data_loss: 0s', 'max_data_loss: 90s')}resources:
  - {name: tank, kind: replicated-pool, pool: tank}
replication: {pools: [tank]}
`;
/** Entry 3 is the grant. */
const heldBy = (node: typeof a): Entry[] => chain([1, firstEntry()], [1, elected(node)], [1, granted(node)]);
const words = (complete: string, written = '-') =>
  exited(
    0,
    `quorate:complete\t${complete}\tlocal\nquorate:written\t${written}\tlocal\nquorate:complete-of\t-\t-\n`,
  );

function look(fake: FakeHost, entries = heldBy(b)) {
  const context = contextOf(fake, { config: configOf(TEXT), entries: async () => entries });
  return replicatedCheck.run(context);
}
const said = (result: ReturnType<typeof words>) => ({
  files: { [STATE]: 'ONLINE\n' },
  commands: { [COMMAND]: result },
});

it('is asked only where there is one', async () => {
  expect(brief(await replicatedCheck.run(contextOf()))).toEqual(['skipped pools']);
});

it('must be imported and usable, and is not asked otherwise', async () => {
  expect(brief(await look({}))).toEqual(['failed tank imported']);
  expect(brief(await look({ files: { [STATE]: 'SUSPENDED\n' } }))).toEqual(['failed tank imported']);
});

it('warns where a takeover by itself would be refused, and says why', async () => {
  const nothing = one(await look(said(words('-'))), 'tank loss');
  expect(nothing).toMatchObject({
    result: 'warning',
    detail: expect.stringMatching(/nothing whole has come from b/),
  });
  const old = one(await look(said(words('1:3:1000:running:p7'))), 'tank loss');
  expect(old).toMatchObject({ result: 'warning', detail: expect.stringMatching(/max_data_loss is 90 s/) });
  expect(one(await look(said(words('1:3:1000:final:p7'))), 'tank loss').result).toBe('warning');
  expect(one(await look(said(words('-', '3')), heldBy(a)), 'tank loss').result).toBe('ok');
});

it('H4: what it cannot read is unknown', async () => {
  for (const result of [exited(1), exited(0, 'garbage\n'), { kind: 'timed-out', limitMs: 1 } as const])
    expect(
      one(await look({ files: { [STATE]: 'ONLINE\n' }, commands: { [COMMAND]: result } }), 'tank loss')
        .result,
    ).toBe('unknown');
});
