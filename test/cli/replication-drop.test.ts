/** `quorate replication diverged drop`: only what is kept, only by the word, which is in the log first; and nothing else. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { type DropLog, drop, lookFor, requireConfirmed } from '../../src/cli/replication-drop.ts';
import { type Config, parseConfig } from '../../src/config/index.ts';
import type { Entry } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { dropWord, setAside } from '../../src/replication/index.ts';
import { finishAside, isAsideOpen } from '../../src/replication/roles/index.ts';
import { dropText } from '../../src/state/index.ts';
import { configDirectory, GOOD } from '../config/fixture.ts';
import { PowerCut, ZfsCommand } from '../replication/zfs-command.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';
import { chain } from '../state/story.ts';
import { captured } from './captured.ts';

let config: Config;
let remove = (): void => undefined;
beforeAll(async () => {
  const made = await configDirectory();
  remove = made.remove;
  const parsed = parseConfig(`${GOOD}replication: {pools: [tank]}\n`, join(made.directory, 'q.yaml'));
  if (parsed.config === null) throw new Error(parsed.problems.join('\n'));
  config = parsed.config;
});
afterAll(() => remove());

const HOME = 'tank/.diverged/20/home';
const BELOW = 'tank/.diverged/20/home/deep';

class World {
  readonly pool = new ModelPool('tank', new Guids());
  readonly zfs = new ZfsCommand(this.pool);
  readonly parts = {
    commands: this.zfs,
    clock: new VirtualClock(),
    signal: new AbortController().signal,
  };
  /** What was asked of the log, with how many changes ZFS had made by then. */
  readonly words: { readonly datasets: readonly string[]; readonly changesBefore: number }[] = [];
  answer: number | Error = 31;
  entries: Entry[] = [];

  readonly log: DropLog = {
    allowDrop: async ({ datasets }) => {
      this.words.push({ datasets, changesBefore: this.zfs.calls.length });
      if (this.answer instanceof Error) throw this.answer;
      return this.answer;
    },
    entries: async () => this.entries,
  };

  static async make(): Promise<World> {
    const world = new World();
    const { pool, parts } = world;
    pool.get('tank').properties.set('quorate:written', '10');
    for (const name of ['tank/home', 'tank/home/deep', 'tank/other']) {
      pool.create(name);
      pool.snapshot(name, 'p1');
      pool.write(name, 'tail');
    }
    const tails = ['tank/home', 'tank/home/deep'].map((dataset) => ({
      dataset,
      common: pool.get(dataset).snapshots[0]?.guid as never,
    }));
    await setAside({ pool: 'tank', epoch: 20, tails }, { ...parts, ...yes });
    world.zfs.calls.length = 0;
    return world;
  }

  look(what: string) {
    return lookFor(what, config, this.parts);
  }

  async drop(what: string, why = '') {
    const found = await this.look(what);
    return captured(async () => {
      await drop(config, found, this.log, { why }, this.parts);
      return 0;
    });
  }

  names(): string[] {
    return [...this.pool.datasets.keys()].toSorted();
  }

  get(name: string) {
    return this.pool.get(name).snapshots.map((one) => one.name);
  }
}

const yes = { mayChange: () => true, hasDevice: async () => true };
const aside = (world: World, dataset: string) =>
  setAside(
    {
      pool: 'tank',
      epoch: 20,
      tails: [{ dataset, common: world.pool.get(dataset).snapshots[0]?.guid as never }],
    },
    { ...world.parts, ...yes },
  );
const tagsOf = ({ pool }: World, dataset: string) =>
  pool.get(dataset).snapshots.map(({ name, tags = [] }) => [name, ...tags]);

const guidOf = (world: World, name: string): string => `${name}=${world.pool.get(name).guid}`;
const notLeader = new QuorateError('not-leader', 'a does not lead; the leader is b: run the command there');

describe('diverged drop', () => {
  it('destroys one kept dataset with its snapshots, after its word; what both nodes have stays', async () => {
    const world = await World.make();
    const id = guidOf(world, BELOW);
    const { out } = await world.drop(BELOW);
    expect(out).toMatch(/^destroyed tank\/\.diverged\/20\/home\/deep, \d+ bytes: @quorate-diverged-20\n$/);
    expect(world.words).toEqual([{ datasets: [id], changesBefore: 0 }]);
    expect(world.zfs.calls).toEqual([
      `zfs release quorate-diverged ${BELOW}@quorate-diverged-20`,
      `zfs destroy ${BELOW}@quorate-diverged-20`,
      `zfs destroy ${BELOW}`,
    ]);
    expect(world.names()).toContain(HOME);
    for (const name of ['tank/home', 'tank/home/deep', 'tank/other']) expect(world.get(name)[0]).toBe('p1');
  });

  it('of an epoch everything, the deepest first; of another one nothing', async () => {
    const world = await World.make();
    await world.drop('20');
    expect(world.words[0]?.datasets.map((one) => one.split('=')[0])).toEqual([BELOW, HOME]);
    expect(world.names().filter((name) => /diverged\/20\/./.test(name))).toEqual([]);
    expect(world.get('tank/home')).toEqual(['p1']);
    await expect(world.look('2')).rejects.toMatchObject({ code: 'usage' });
  });

  it('a word that is in the own copy of the log, from the leader, is enough; none is a refusal with what to type', async () => {
    const world = await World.make();
    world.answer = notLeader;
    const id = guidOf(world, BELOW);
    await expect(world.drop(BELOW)).rejects.toMatchObject({
      code: 'refused-unsafe',
      message: expect.stringContaining(`quorate replication diverged allow a "${id}"`),
    });
    const said = (dataset: string) =>
      chain([1, { kind: 'operator', who: 'root', action: `${dropText('a', [dataset])}old)`, at: null }]);
    // Of another one, and of one of that name that was there before.
    for (const other of [guidOf(world, HOME), `${BELOW}=1`]) {
      world.entries = said(other);
      await expect(world.drop(BELOW)).rejects.toMatchObject({ code: 'refused-unsafe' });
    }
    expect(world.zfs.calls).toEqual([]);
    world.entries = said(id);
    await world.drop(BELOW);
    expect(world.names()).not.toContain(BELOW);
  });

  it('no agent, or a leader that cannot write: nothing is destroyed', async () => {
    const world = await World.make();
    world.answer = new QuorateError('timed-out-unknown', 'no answer');
    await expect(world.drop(HOME)).rejects.toMatchObject({ code: 'refused-unsafe' });
    await expect(world.drop(BELOW)).rejects.toMatchObject({ code: 'timed-out-unknown' });
    expect(world.zfs.calls).toEqual([]);
  });

  it.each([
    ['tank/home', 'usage', /nothing is kept/],
    ['tank', 'usage', /nothing is kept/],
    ['tank/.diverged', 'usage', /nothing is kept/],
    ['tank/.diverged/20', 'usage', /nothing is kept/],
    ['tank/other', 'usage', /nothing is kept/],
    [HOME, 'refused-unsafe', /has tank\/\.diverged\/20\/home\/deep below it/],
  ])('%s is not what goes', async (what, code, message) => {
    const world = await World.make();
    await expect(world.look(what)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('is refused while something else holds it, or is a clone of it, or it is not set aside whole', async () => {
    const held = await World.make();
    held.pool.hold(BELOW, 'quorate-diverged-20', 'backup');
    await expect(held.look(BELOW)).rejects.toThrow(/held by "backup": "zfs release backup/);
    const cloned = await World.make();
    cloned.pool.clone(BELOW, 'quorate-diverged-20', 'tank/found');
    await expect(cloned.look(BELOW)).rejects.toThrow(/is what tank\/found is a clone of/);
    const half = await World.make();
    const { properties } = half.pool.get(BELOW);
    properties.delete('quorate:readonly');
    properties.set('quorate:set-aside', (properties.get('quorate:set-aside') ?? '').replace(/^2/, '1'));
    await expect(half.look(BELOW)).rejects.toThrow(/not set aside whole/);
    const swapped = await World.make();
    swapped.pool.promote(BELOW);
    // It has the common snapshot now, and the copy is a clone of it.
    await expect(swapped.look(BELOW)).rejects.toMatchObject({ code: 'refused-unsafe' });
    for (const { zfs } of [held, cloned, half, swapped]) expect(zfs.calls).toEqual([]);
  });

  it('what has changed since it was shown is left', async () => {
    const world = await World.make();
    const found = await world.look(BELOW);
    world.pool.snapshot(BELOW, 'somebody-looks');
    await expect(drop(config, found, world.log, {}, world.parts)).rejects.toThrow(/has changed meanwhile/);
    expect(world.zfs.calls).toEqual([]);
  });

  it('goes on after a power cut before any single command', async () => {
    for (let changes = 0; changes < 3; changes++) {
      const world = await World.make();
      world.zfs.changesLeft = changes;
      await expect(world.drop(BELOW)).rejects.toThrow(PowerCut);
      world.zfs.changesLeft = Number.POSITIVE_INFINITY;
      await world.drop(BELOW);
      expect(world.names()).not.toContain(BELOW);
      expect(world.get('tank/home/deep')).toEqual(['p1']);
    }
  });

  it('needs the word of what was shown', async () => {
    const found = await (await World.make()).look('20');
    for (const confirm of [undefined, '', 'yes', '20', HOME, '200:0'])
      expect(() => requireConfirmed('20', found, confirm === undefined ? {} : { confirm })).toThrow(
        /it destroys \d+ bytes.*tank\/\.diverged\/20\/home.*--dry-run/,
      );
    const confirm = dropWord('20', found);
    expect(confirm).toMatch(/^20:[0-9a-f]{12}$/);
    expect(() => requireConfirmed('20', found, { confirm })).not.toThrow();
  });

  it.each<[string, (world: World) => unknown]>([
    ['a further tail of that epoch', (world) => aside(world, 'tank/other')],
    ['a snapshot', ({ pool }) => pool.snapshot(BELOW, 'mine')],
    [
      'another snapshot of that name',
      ({ pool }) => {
        pool.release(BELOW, 'quorate-diverged-20', 'quorate-diverged');
        pool.destroySnapshot(BELOW, 'quorate-diverged-20');
        pool.snapshot(BELOW, 'quorate-diverged-20');
      },
    ],
    [
      'data',
      ({ pool }) => {
        pool.get(BELOW).isReadonly = false;
        pool.write(BELOW, 'work of the operator');
      },
    ],
  ])(
    '%s since it was shown makes another word, which is refused with what there is now',
    async (_what, act) => {
      const world = await World.make();
      const shown = await world.look('20');
      const confirm = dropWord('20', shown);
      await act(world);
      world.zfs.calls.length = 0;
      const now = await world.look('20');
      expect(() => requireConfirmed('20', now, { confirm })).toThrow(
        expect.objectContaining({
          code: 'refused-unsafe',
          message: expect.stringContaining(now[0]?.dataset ?? '?'),
        }),
      );
      // Nor by whoever has read before, and not again.
      if (now.length === shown.length)
        await expect(drop(config, shown, world.log, {}, world.parts)).rejects.toThrow(
          /has changed meanwhile/,
        );
      expect(world.zfs.calls).toEqual([]);
    },
  );

  it('what somebody has renamed out of .diverged is theirs: not pulled back, not dropped, whatever a release says', async () => {
    const world = await World.make();
    const { pool, zfs, parts } = world;
    pool.rename(HOME, 'tank/rescued');
    pool.get('tank/rescued').isReadonly = false;
    pool.write('tank/rescued', 'NEW WORK');
    pool.snapshot('tank/rescued', 'mine');
    for (let tenure = 0; tenure < 2; tenure++) {
      expect(await isAsideOpen('tank', parts)).toBe(false);
      expect(await finishAside('tank', { ...parts, ...yes })).toEqual({ commands: [] });
      await expect(world.look('20')).rejects.toMatchObject({ code: 'usage' });
      await expect(world.look('tank/rescued')).rejects.toMatchObject({ code: 'usage' });
      // As a release shuts it.
      await zfs.run(['zfs', 'set', 'readonly=on', 'quorate:readonly=on', 'tank/rescued']);
    }
    expect(world.names()).toEqual(expect.arrayContaining(['tank/rescued', 'tank/rescued/deep', 'tank/home']));
    // A tail of its own later, with data below it that has none, is set aside as any other.
    pool.get('tank/rescued').isReadonly = false;
    await aside(world, 'tank/rescued');
    expect((await world.look('20')).map(({ dataset }) => dataset)).toEqual(['tank/.diverged/20/rescued']);
    expect(world.names()).toEqual(expect.arrayContaining(['tank/rescued', 'tank/rescued/deep']));
  });

  it('a mark of before, which only the word beside it says to be finished, counts as one that says so itself', async () => {
    const world = await World.make();
    const { properties } = world.pool.get(HOME);
    properties.set('quorate:set-aside', (properties.get('quorate:set-aside') ?? '').replace(/^2/, '1'));
    expect(await isAsideOpen('tank', world.parts)).toBe(false);
    expect(await world.look('20')).toHaveLength(2);
    world.pool.rename(HOME, 'tank/rescued');
    expect(await isAsideOpen('tank', world.parts)).toBe(false);
    await expect(world.look('20')).rejects.toMatchObject({ code: 'usage' });
  });

  it('the rest keeps its holds where ZFS refuses one in the middle', async () => {
    const world = await World.make();
    const { pool, zfs } = world;
    for (const name of ['t1', 't2']) {
      pool.write('tank/other', name);
      pool.snapshot('tank/other', name);
    }
    await aside(world, 'tank/other');
    const kept = 'tank/.diverged/20/other';
    const found = await world.look(kept);
    const run = async (command: readonly string[]) => {
      if (command.join(' ') === `zfs destroy ${kept}@t2`) pool.hold(kept, 't2', 'backup');
      return zfs.run(command);
    };
    const parts = { ...world.parts, commands: { run } };
    await expect(drop(config, found, world.log, {}, parts)).rejects.toThrow(/busy/);
    expect(tagsOf(world, kept)).toEqual([
      ['t2', 'backup', 'quorate-diverged'],
      ['quorate-diverged-20', 'quorate-diverged'],
    ]);
  });

  it("lets go of the replication's own holds too, and takes both again where ZFS refuses the destroy", async () => {
    const world = await World.make();
    const { pool, zfs } = world;
    pool.hold(BELOW, 'quorate-diverged-20', 'quorate');
    const found = await world.look(BELOW);
    const [destroy, both] = [`zfs destroy ${BELOW}@quorate-diverged-20`, tagsOf(world, BELOW)];
    expect(both[0]?.slice(1).toSorted()).toEqual(['quorate', 'quorate-diverged']);
    for (const refused of ['zfs release quorate ', destroy]) {
      const run = async (command: readonly string[]) =>
        `${command.join(' ')} `.startsWith(refused)
          ? ({ kind: 'exited', code: 1, stdout: '', stderr: 'busy\n' } as const)
          : zfs.run(command);
      const parts = { ...world.parts, commands: { run } };
      await expect(drop(config, found, world.log, {}, parts)).rejects.toThrow(/busy/);
      expect(tagsOf(world, BELOW)[0]?.toSorted()).toEqual(both[0]?.toSorted());
    }
    await world.drop(BELOW);
    expect(world.names()).not.toContain(BELOW);
    expect(world.get('tank/home/deep')).toEqual(['p1']);
  });

  it('two at once, and a new tail of that name: only what was shown goes', async () => {
    const world = await World.make();
    await aside(world, 'tank/other');
    const kept = 'tank/.diverged/20/other';
    const found = await world.look(kept);
    let fresh: string | null = null;
    let refusal: unknown = null;
    const run = async (command: readonly string[]) => {
      // By hand, after the snapshots: what comes under its name is another one.
      if (command.join(' ').startsWith('zfs list') && command.at(-1) === kept && fresh === null) {
        world.pool.destroyDataset(kept);
        world.pool.write('tank/other', 'new tail');
        await aside(world, 'tank/other');
        fresh = guidOf(world, kept);
      }
      return world.zfs.run(command);
    };
    const parts = { ...world.parts, commands: { run } };
    await expect(drop(config, found, world.log, {}, parts)).rejects.toThrow(/has changed meanwhile/);
    expect(guidOf(world, kept)).toBe(fresh);
    const again = await World.make();
    const shown = await again.look(BELOW);
    const meet = async (command: readonly string[]) => {
      if (command[1] === 'release')
        refusal = await drop(config, shown, again.log, {}, again.parts).catch((error: unknown) => error);
      return again.zfs.run(command);
    };
    const met = { ...again.parts, commands: { run: meet } };
    await captured(async () => {
      await drop(config, shown, again.log, {}, met);
      return 0;
    });
    expect(refusal).toMatchObject({ code: 'refused-unsafe', message: expect.stringMatching(/another/) });
    expect(again.names()).not.toContain(BELOW);
  });
});
