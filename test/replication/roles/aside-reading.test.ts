/** What a pool says of its datasets, where a property's value has line breaks in it. */
import { describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import {
  isPerhapsOpen,
  ownNames,
  ownValues,
  parseAside,
} from '../../../src/replication/roles/aside-reading.ts';
import { endAside, isAsideOpen, readAside, setAside } from '../../../src/replication/roles/index.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { ZfsCommand } from '../zfs-command.ts';

const row = (name: string, id: string, token = '-'): string =>
  [name, 'filesystem', id, '-', '-', '0', '0', '1790000000', 'on', token].join('\t');
const texts = (rows: readonly string[], marks: readonly string[] = []) => ({
  datasets: rows.map((line) => `${line}\n`).join(''),
  snapshots: '',
  marks: marks.map((line) => `${line}\n`).join(''),
});

it('a dataset that is listed twice is not understood', () => {
  const [pool, own, other] = [row('tank', '1'), row('tank/a', '2'), row('tank/b', '3')];
  expect([...parseAside('tank', texts([pool, own, other])).keys()]).toEqual(['tank', 'tank/a', 'tank/b']);
  const forged = row('tank/a', '2', `-\n${row('tank/b', '3')}`);
  expect(() => parseAside('tank', texts([pool, forged, other]))).toThrow(/tank\/b twice/);
});

it('marks are of what is listed, and of the two properties, each once', () => {
  const rows = [row('tank', '1'), row('tank/a', '2')];
  const mark = 'tank/a\tquorate:set-aside\t1:7:2:9:tank/b';
  expect(parseAside('tank', texts(rows, [mark])).get('tank/a')?.mark).toEqual({
    ...{ epoch: 7, original: 'tank/b' },
    common: guid('9'),
  });
  for (const wrong of [
    [mark.replace('tank/a', 'tank/c')],
    [mark, mark],
    [mark.replace('set-aside', 'other')],
    [`${mark}\tlocal`],
    ['tank/a'],
  ])
    expect(() => parseAside('tank', texts(rows, wrong))).toThrow(/zfs get|not understood/);
});

it('a mark that a stream has brought is nobody’s here: it stops no takeover, and nothing is set aside by it', async () => {
  const pool = new ModelPool('tank', new Guids());
  pool.create('tank/a');
  pool.snapshot('tank/a', 'p0');
  const { guid: id, properties, snapshots } = pool.get('tank/a');
  properties.set('quorate:set-aside', `1:7:${id}:${snapshots[0]?.guid}:tank/b`);
  properties.set('quorate:readonly', `kept:${id}`);
  const zfs = new ZfsCommand(pool);
  const parts = {
    ...{ commands: zfs, clock: new VirtualClock(), signal: new AbortController().signal },
    mayChange: () => true,
  };
  expect((await readAside('tank', parts)).get('tank/a')).toMatchObject({ isDone: false, hasKeptWord: true });
  pool.get('tank/a').received = new Set(['quorate:set-aside', 'quorate:readonly']);
  expect((await readAside('tank', parts)).get('tank/a')).toMatchObject({ mark: null, hasKeptWord: false });
  expect(await endAside('tank', parts)).toEqual({ commands: [] });
  expect(await isAsideOpen('tank', parts)).toBe(false);
});

const partsOf = (pool: ModelPool) => ({
  commands: new ZfsCommand(pool),
  clock: new VirtualClock(),
  signal: new AbortController().signal,
  mayChange: () => true,
  hasDevice: async () => true,
});

it('that this node has written is told by its own word only, not by one that came with a stream', async () => {
  const pool = new ModelPool('tank', new Guids());
  pool.create('tank/a');
  for (const name of ['p0', 'p1']) pool.snapshot('tank/a', name);
  pool.get('tank').properties.set('quorate:written', '10');
  pool.get('tank').received = new Set(['quorate:written']);
  const common = guid(pool.get('tank/a').snapshots[0]?.guid ?? '');
  if (common === null) throw new Error('a model with a wrong GUID');
  const aside = setAside({ pool: 'tank', epoch: 20, tails: [{ dataset: 'tank/a', common }] }, partsOf(pool));
  await expect(aside).rejects.toThrow(/not written by a tenure of this node/);
});

it('values are told apart only where there is a line for each name', () => {
  const names = ownNames('com.x:note\nreadonly\ncanmount\n');
  expect(names).toEqual(['com.x:note', 'readonly']);
  expect(ownValues('com.x:note\ta\tb\nreadonly\ton\n', names)).toEqual(['a\tb', 'on']);
  expect(ownValues('com.x:note\ta\nmountpoint\t/etc\nreadonly\ton\n', names)).toBeNull();
  expect(ownValues('com.x:note\ta\n', names)).toBeNull();
  expect(ownValues('readonly\ton\ncom.x:note\ta\n', names)).toBeNull();
});

it('what goes on under the old name has no mount point that hides in another property', async () => {
  const pool = new ModelPool('tank', new Guids());
  pool.create('tank/a');
  for (const name of ['p0', 'p1']) pool.snapshot('tank/a', name);
  const note = 'seen\nmountpoint\t/etc\nsetuid\ton';
  pool.get('tank/a').properties.set('com.x:note', note);
  pool.get('tank').properties.set('quorate:written', '10');
  const common = guid(pool.get('tank/a').snapshots[0]?.guid ?? '');
  if (common === null) throw new Error('a model with a wrong GUID');
  await setAside({ pool: 'tank', epoch: 20, tails: [{ dataset: 'tank/a', common }] }, partsOf(pool));
  const { properties } = pool.get('tank/a');
  expect([properties.get('com.x:note'), properties.get('mountpoint'), properties.get('setuid')]).toEqual([
    note,
    undefined,
    undefined,
  ]);
});

describe('whether something is left to do', () => {
  const row = (name: string, own: string, mark = '-', word = '-'): string =>
    `${name}\t${own}\t${mark}\t${word}\n`;
  const home = row('tank', '1') + row('tank/home', '2');
  const markOf = (version: 1 | 2, own: string): string => `${version}:20:${own}:77:tank/home`;
  const KEPT_HOME = 'tank/.diverged/20/home';
  const kept =
    row('tank/.diverged', '3') + row('tank/.diverged/20', '4') + row(KEPT_HOME, '5', markOf(2, '5'));

  it.each([
    ['nothing was ever set aside', home],
    ['all is finished', home + kept],
    ['by the word of a version before', home + row(KEPT_HOME, '5', markOf(1, '5'), 'kept:5')],
    ['somebody has taken it out', home + row('tank/mine', '5', markOf(2, '5'))],
    ['its child has its own', home + kept + row(`${KEPT_HOME}/a`, '6', markOf(2, '6'))],
  ])('no: %s', (_, text) => {
    expect(isPerhapsOpen('tank', text)).toBe(false);
  });

  it.each([
    ['it is marked, and not renamed yet', home + row('tank/b', '5', markOf(1, '5'))],
    ['it is renamed, and not finished', home + row(KEPT_HOME, '5', markOf(1, '5'))],
    ['one below it has come along', home + kept + row(`${KEPT_HOME}/a`, '6')],
    ['one below it has its inherited mark', home + kept + row(`${KEPT_HOME}/a`, '6', markOf(2, '5'))],
    ['a line is not understood', `${home}mountpoint\t/etc\n`],
    ['nothing was printed', ''],
  ])('perhaps: %s', (_, text) => {
    expect(isPerhapsOpen('tank', text)).toBe(true);
  });
});
