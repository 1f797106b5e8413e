/** What a pool says of its datasets, where a property's value has line breaks in it. */
import { expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import { ownNames, ownValues, parseAside } from '../../../src/replication/roles/aside-reading.ts';
import { setAside } from '../../../src/replication/roles/index.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { ZfsCommand } from '../zfs-command.ts';

const row = (name: string, id: string, mark: string): string =>
  [name, 'filesystem', id, '-', '-', '0', '0', '1790000000', 'on', '-', mark, '-'].join('\t');

it('a dataset that is listed twice is not understood', () => {
  const [pool, own, other] = [row('tank', '1', '-'), row('tank/a', '2', '-'), row('tank/b', '3', '-')];
  expect([...parseAside('tank', `${pool}\n${own}\n${other}\n`, '').keys()]).toEqual([
    'tank',
    'tank/a',
    'tank/b',
  ]);
  const forged = row('tank/a', '2', `-\t-\n${row('tank/b', '3', '1:7:3:3:tank/c').slice(0, -2)}`);
  expect(() => parseAside('tank', `${pool}\n${forged}\n${other}\n`, '')).toThrow(/tank\/b twice/);
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
  await setAside('tank', 20, [{ dataset: 'tank/a', common }], {
    commands: new ZfsCommand(pool),
    clock: new VirtualClock(),
    signal: new AbortController().signal,
    mayChange: () => true,
  });
  const { properties } = pool.get('tank/a');
  expect([properties.get('com.x:note'), properties.get('mountpoint'), properties.get('setuid')]).toEqual([
    note,
    undefined,
    undefined,
  ]);
});
