/** A split brain is explained, with the commands, and nothing of it is done (O3). */
import { describe, expect, it } from 'vitest';
import { isOfNow } from '../../src/cli/doctor.ts';
import { renderReport } from '../../src/cli/doctor-text.ts';
import { plain } from '../../src/cli/output.ts';
import { type Entry, logIndex, term } from '../../src/core/index.ts';
import { connectionFinding } from '../../src/doctor/drbd-connection.ts';
import { CAPTURES } from '../resources/drbd-captures.ts';
import { a, b, chain, config, elected, granted, outdated, released } from '../state/story.ts';
import { configHolding, contextOf, exited, type FakeHost } from './support.ts';

/** Of the kernel 8.4 (captures/partition-qemu.log). */
const GENERATION = 'AEFB70F732CC2F75:0000000000000000:9595BD2E21B25D31:9594BD2E21B25D31:1:1:1:1:0:0:0\n';
const EVENTS = 'drbdsetup events2 --now r0';
const look = (commands: NonNullable<FakeHost['commands']>, entries?: readonly Entry[], isLogCurrent = true) =>
  connectionFinding(
    contextOf(
      { commands },
      {
        config: configHolding('name: block, kind: drbd, resource: r0'),
        isLogCurrent: async () => isLogCurrent,
        entries: entries === undefined ? () => Promise.reject(new Error('no agent')) : async () => entries,
      },
    ),
    'r0',
  );
const apart = { [EVENTS]: CAPTURES.standAlone, 'drbdadm get-gi r0': GENERATION };
/** In words: what is done on which node, in order. */
const commandsOf = (remedy: string | null): string[] =>
  (remedy ?? '')
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim());
describe('a resource that stands alone', () => {
  const log = chain([0, config()], [1, elected(a)], [1, granted(a)], [1, outdated(b, 3)]);

  it('keeps the only node in sync, and says what the other one loses before it says how', async () => {
    const { result, detail, remedy } = await look(apart, log);
    expect(result).toBe('failed');
    expect(detail).toContain('StandAlone, role Primary, disk UpToDate');
    expect(detail).toContain('current AEFB70F732CC2F75, bitmap 0000000000000000, history 9595BD2E21B25D31');
    expect(detail).toContain('that of b: run the doctor there');
    expect(detail).toContain('a is the holder (epoch 3), in sync: a');
    expect(commandsOf(remedy)).toEqual([
      'drbdadm down r0',
      'dd if=$(drbdadm sh-ll-dev r0) of=FILE bs=1M',
      'drbdadm up r0',
      'drbdadm disconnect r0',
      'drbdadm secondary r0',
      'drbdadm connect --discard-my-data r0',
      'drbdadm connect r0',
    ]);
    const text = remedy ?? '';
    expect(text.indexOf('WHAT b HAS WRITTEN ALONE IS LOST')).toBeLessThan(text.indexOf('--discard-my-data'));
    expect(text).toMatch(/Then on b .*\n {2}drbdadm disconnect r0/);
  });

  it('of two in sync keeps the last holder', async () => {
    const { detail, remedy } = await look(
      apart,
      chain([0, config()], [1, elected(b)], [1, granted(b)], [1, released(3, b)]),
    );
    expect(detail).toContain('b was the last holder (epoch 3), in sync: a, b');
    expect(remedy).toContain('keep the data of b. WHAT a HAS WRITTEN ALONE IS LOST');
  });

  it('of 9 names the connection, and leaves that to the witness alone', async () => {
    const events = CAPTURES.nine
      .replaceAll('nodeb', 'b')
      .replaceAll('witness', 'w')
      .replace('conn-name:b connection:Connected', 'conn-name:b connection:StandAlone');
    const { remedy } = await look({ ...apart, [EVENTS]: events }, log);
    expect(commandsOf(remedy).slice(3)).toEqual([
      'drbdadm disconnect r0:a',
      'drbdadm secondary r0',
      'drbdadm connect --discard-my-data r0:a',
      'drbdadm connect r0:b',
    ]);
    const toWitness = CAPTURES.nine
      .replaceAll('nodeb', 'b')
      .replaceAll('witness', 'w')
      .replace('conn-name:w connection:Connected', 'conn-name:w connection:StandAlone');
    const other = await look({ ...apart, [EVENTS]: toWitness }, log);
    expect(other.remedy).toBe('Run "drbdadm connect r0:w".');
  });

  it('is printed with each command on a line of its own, to be copied', async () => {
    const finding = { ...(await look(apart, log)), name: 'drbd', ms: 1 };
    const report = { node: 'a', at: '', ok: false, checks: [finding], advice: { timing: null } };
    const lines = renderReport('nas-prod', report, plain);
    for (const command of commandsOf(finding.remedy))
      expect(lines.map((line) => line.trim())).toContain(command);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it.each([
    ['no log', undefined, 'not known here: no agent'],
    ['no holder', chain([0, config()]), 'The log knows no holder'],
  ])('%s: names nobody whose data may go', async (_what, entries, words) => {
    const { result, detail, remedy } = await look(apart, entries);
    expect(result).toBe('failed');
    expect(detail).toContain(words);
    expect(remedy).toContain('Change nothing');
    expect(remedy).not.toContain('discard');
  });

  it('on a node without a majority believes no log: b may have held since', async () => {
    const { detail, remedy } = await look(apart, log, false);
    expect(detail).toContain('has no majority now and may be old, says that a is the holder');
    expect(remedy).toContain('Change nothing');
    expect(remedy).not.toContain('discard');
  });

  it('without its data generation', async () => {
    const { result, detail } = await look({ [EVENTS]: CAPTURES.standAlone }, log);
    expect(result).toBe('failed');
    expect(detail).toContain('Data generation of a: drbdadm get-gi is not installed');
  });
});

it.each([
  ['connected', CAPTURES.healthyPrimary, 'ok'],
  ['alone, and waiting', CAPTURES.primaryAlone, 'warning'],
  ['down', 'exists -\n', 'unknown'],
  ['cut off', CAPTURES.standAlone.slice(0, 150), 'unknown'],
  ['not to be read', exited(20, '', 'usage'), 'unknown'],
])('%s', async (_what, events, result) => {
  expect((await look({ [EVENTS]: events }, [])).result).toBe(result);
});

it.each([
  ['of a node with a majority, whole', { quorum: true, term: 3, commitIndex: 8 }, true],
  ['of a node without one', { quorum: false, term: 3, commitIndex: 8 }, false],
  ['of a node that does not know', { quorum: null, term: 3, commitIndex: 8 }, false],
  ['without what was committed since', { quorum: true, term: 3, commitIndex: 9 }, false],
  ['of an earlier term', { quorum: true, term: 4, commitIndex: 8 }, false],
])('a log %s', (_what, status, isCurrent) => {
  expect(isOfNow(status, { index: logIndex(8), term: term(3) })).toBe(isCurrent);
  expect(isOfNow(status, undefined)).toBe(false);
});
