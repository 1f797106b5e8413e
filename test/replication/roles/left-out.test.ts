/** What is no part of what the holder has open is marked on the receiver, once; and what is part again loses its mark. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { epoch } from '../../../src/core/index.ts';
import type { LeftOutThere } from '../../../src/replication/channel.ts';
import { performRole, type RoleOrder } from '../../../src/replication/receiver/roles.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';
import { PowerCut, ZfsCommand } from '../zfs-command.ts';

let pool: ModelPool;
let zfs: ZfsCommand;
let asked: number;
let isAllowed: boolean;
const NAMES = ['tank/home', 'tank/old', 'tank/old/deep', 'tank/gone'];
beforeEach(() => {
  pool = new ModelPool('tank', new Guids());
  for (const name of NAMES) {
    pool.create(name);
    pool.snapshot(name, 'p7');
  }
  zfs = new ZfsCommand(pool);
  asked = 0;
  isAllowed = true;
});

const arrived = (dataset: string) => ({
  dataset,
  name: 'p7',
  guid: pool.get(dataset).snapshots[0]?.guid as never,
});
const out = (dataset: string, since: number | null = 1_790_000_000): LeftOutThere => ({ dataset, since });

async function order(
  snapshots: readonly string[],
  leftOut: readonly LeftOutThere[],
  more: Partial<Extract<RoleOrder, { kind: 'complete' }>> = {},
): Promise<void> {
  const { signal } = new AbortController();
  await performRole(
    {
      ...{ kind: 'complete', pool: 'tank', isFinal: false, snapshots: snapshots.map(arrived), leftOut },
      ...more,
    },
    epoch(20),
    {
      ...{
        dataDir: '/nowhere',
        commands: zfs,
        clock: new VirtualClock(),
        signal,
        hasDevice: async () => true,
      },
      mayChange: async () => {
        asked += 1;
        if (!isAllowed) throw new Error('this node holds');
      },
    },
  );
}

const marks = () =>
  NAMES.flatMap((name) => {
    const mark = pool.get(name).properties.get('quorate:left-out');
    return mark === undefined ? [] : [`${name} ${mark}`];
  });
const marking = () => zfs.calls.filter((call) => call.includes('left-out'));
const word = () => pool.get('tank').properties.get('quorate:complete');

describe('with the word of the holder', () => {
  it('it is marked before that is written down, each once, whatever lies in it too', async () => {
    await order(
      ['tank/home'],
      [out('tank/old'), out('tank/old/deep', 1_780_000_000), out('tank/gone', null)],
    );
    expect(marks()).toEqual([...['tank/old 1:1790000000', 'tank/old/deep 1:1780000000', 'tank/gone 1:-']]);
    expect(zfs.calls.at(-1)).toMatch(/^zfs set quorate:complete=/);
    expect(marking()).toHaveLength(3);
    expect(asked).toBe(zfs.calls.length);
    await order(['tank/home'], [out('tank/old', 1_790_000_060), out('tank/old/deep'), out('tank/gone')]);
    expect(marking()).toHaveLength(3);
  });

  it('what is of one time is marked by few commands', async () => {
    const many = Array.from({ length: 20 }, (_, at) => `tank/s${String(at).padStart(2, '0')}`);
    for (const name of many) pool.create(name);
    await order(
      ['tank/home'],
      many.map((name) => out(name)),
    );
    expect(marking()).toHaveLength(3);
    expect(many.every((name) => pool.property(name, 'quorate:left-out')[1] === 'local')).toBe(true);
  });

  it('a mark goes when the dataset has arrived with the others, in whichever part of the order', async () => {
    await order(['tank/home'], [out('tank/old'), out('tank/gone')]);
    await order(['tank/old'], [], { hasMore: true });
    expect(marks()).toEqual(['tank/gone 1:1790000000']);
    await order(['tank/gone', 'tank/home'], []);
    expect(marks()).toEqual([]);
    zfs.calls.length = 0;
    await order(['tank/gone', 'tank/home'], []);
    expect(marking()).toEqual([]);
  });

  it('a mark stays with a word that is older than the one here, whichever part of it comes', async () => {
    pool.snapshot('tank/home', 'p8');
    const newer = pool.get('tank/home').snapshots.find(({ name }) => name === 'p8');
    const p8 = { dataset: 'tank/home', name: 'p8', guid: newer?.guid as never };
    await order([], [out('tank/old')], { snapshots: [p8] });
    const before = word();
    // By a sender that was started anew, and sends it again: it has no p8.
    for (const hasMore of [true, false]) await order(['tank/old', 'tank/home'], [], { hasMore });
    expect([marks(), word()]).toEqual([['tank/old 1:1790000000'], before]);
    await order(['tank/old', 'tank/home'], [], { isFinal: true, hasMore: true });
    expect(marks()).toEqual([]);
  });

  it('and not before: where something has not arrived nothing is changed', async () => {
    await order(['tank/home'], [out('tank/old')]);
    zfs.calls.length = 0;
    const lacking = { ...arrived('tank/old'), guid: '77' as never };
    for (const hasMore of [true, false])
      await expect(
        order(['tank/old'], [out('tank/gone')], { hasMore, snapshots: [lacking] }),
      ).rejects.toThrow(/has not arrived/);
    expect([marks(), zfs.calls]).toEqual([['tank/old 1:1790000000'], []]);
  });

  it('what is inherited, or came with a stream, is no mark, and none is taken away for it', async () => {
    pool.setProperty('tank/old', 'quorate:left-out', '1:7');
    pool.setProperty('tank/gone', 'quorate:left-out', '1:7');
    pool.get('tank/gone').received = new Set(['quorate:left-out']);
    await order(['tank/old/deep', 'tank/home'], [out('tank/gone')]);
    expect(marking()).toEqual(['zfs set quorate:left-out=1:1790000000 tank/gone']);
    expect(marks()).toContain('tank/old 1:7');
  });

  it('of what is not here any more nothing is known, and the word stays as it was', async () => {
    await order(['tank/home'], []);
    const before = word();
    pool.snapshot('tank/home', 'p8');
    await expect(order(['tank/home'], [out('tank/vanished')])).rejects.toThrow(/does not exist/);
    expect(word()).toBe(before);
  });

  it('H2: nothing is marked by a node that may hold by now', async () => {
    isAllowed = false;
    await expect(order(['tank/home'], [out('tank/old')])).rejects.toThrow('this node holds');
    expect([marks(), zfs.calls]).toEqual([[], []]);
  });

  it('wherever the power goes: no word without the marks before it, and the next word makes up for it', async () => {
    for (let changes = 0; ; changes++) {
      for (const name of NAMES) pool.inheritProperty(name, 'quorate:left-out');
      pool.setProperty('tank/home', 'quorate:left-out', '1:5');
      pool.inheritProperty('tank', 'quorate:complete');
      zfs.changesLeft = changes;
      const left = [out('tank/old', 5), out('tank/gone', 6)];
      const error = await order(['tank/home'], left).catch((cause: unknown) => cause);
      if (word() !== undefined) expect(marks()).toEqual(['tank/old 1:5', 'tank/gone 1:6']);
      if (error === undefined) break;
      expect(error).toBeInstanceOf(PowerCut);
      zfs.changesLeft = Number.POSITIVE_INFINITY;
      await order(['tank/home'], left);
      expect(marks()).toEqual(['tank/old 1:5', 'tank/gone 1:6']);
      expect(changes).toBeLessThan(10);
    }
  });
});
