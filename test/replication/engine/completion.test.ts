/** The word that everything of a pool has arrived as it was at one moment (H7): of which moment, and when. */
import { describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../../cluster/zfs-model/index.ts';
import { epoch } from '../../../src/core/index.ts';
import type { ReceiverOrder } from '../../../src/replication/channel.ts';
import { Completion } from '../../../src/replication/engine/completion.ts';
import { newSnapshotName } from '../../../src/replication/engine/names.ts';
import { parsePool } from '../../../src/replication/list-text.ts';
import type { Guid } from '../../../src/replication/pool.ts';
import { planOf } from '../perform.ts';

const E = epoch(7);
const START = Date.UTC(2026, 10, 27, 19, 0);
const nameAt = (minute: number): string => newSnapshotName(START + minute * 60_000, E, () => false);
const FAST = 'tank/fast';
const SLOW = 'tank/slow';

/** Two datasets with a snapshot each minute; what is sent of which is up to the test. */
class World {
  readonly words: string[] = [];
  readonly leftOut: unknown[] = [];
  takesLeftOut = true;
  isExcluded = (_: string): boolean => false;
  readonly #pools: Readonly<Record<'a' | 'b', ModelPool>>;
  readonly #completion: Completion;

  constructor() {
    const guids = new Guids();
    this.#pools = { a: new ModelPool('tank', guids), b: new ModelPool('tank', guids) };
    for (const name of [FAST, SLOW]) this.#pools.a.create(name);
    const order = async (said: ReceiverOrder): Promise<void> => {
      if (said.kind !== 'complete') return;
      this.words.push(said.snapshots[0]?.name ?? '');
      this.leftOut.push('leftOut' in said ? said.leftOut : null);
    };
    const onFailure = (_: string, error: unknown): never => {
      throw error;
    };
    this.#completion = new Completion({ epoch: E, order, onFailure, takesLeftOut: () => this.takesLeftOut });
  }

  /** A period's snapshot, and what its round reads. */
  round(...names: readonly string[]): void {
    const { a, b } = this.#pools;
    for (const name of names) for (const dataset of [FAST, SLOW]) a.snapshot(dataset, name);
    const byName = (pool: ModelPool) =>
      new Map(parsePool('tank', pool.texts()).datasets.map((one) => [one.name, one]));
    this.#completion.plan({
      plan: planOf(a, b),
      source: byName(a),
      target: byName(b),
      isIncluded: (dataset) => dataset !== 'tank' && !this.isExcluded(dataset),
    });
    this.#completion.check();
  }

  async arrives(dataset: string, name: string, from: string | null): Promise<void> {
    const { a, b } = this.#pools;
    b.receive(dataset, a.send(dataset, name, from === null ? null : `@${from}`, false), false);
    const { guid } = a.get(dataset).snapshots.find((one) => one.name === name) ?? {};
    this.#completion.arrived(guid as Guid);
    await this.#completion.settled();
  }

  async settled(): Promise<readonly string[]> {
    await this.#completion.settled();
    return this.words;
  }
}

const [ONE, TWO, THREE] = [nameAt(1), nameAt(2), nameAt(3)];

describe('that everything has arrived', () => {
  it('is said of the newest', async () => {
    const world = new World();
    world.round(ONE);
    await world.arrives(FAST, ONE, null);
    expect(world.words).toEqual([]);
    await world.arrives(SLOW, ONE, null);
    expect(world.words).toEqual([ONE]);
  });

  it('is said of what has arrived, where there is always a newer one before the last dataset is sent', async () => {
    const world = new World();
    world.round(ONE);
    await world.arrives(FAST, ONE, null);
    world.round(TWO);
    await world.arrives(SLOW, ONE, null);
    expect(world.words).toEqual([ONE]);
    await world.arrives(FAST, TWO, ONE);
    world.round(THREE);
    await world.arrives(FAST, THREE, TWO);
    await world.arrives(SLOW, TWO, ONE);
    expect(world.words).toEqual([ONE, TWO]);
    await world.arrives(SLOW, THREE, TWO);
    expect(world.words).toEqual([ONE, TWO, THREE]);
  });

  it('is said of what has arrived, however many newer ones there are already', async () => {
    const world = new World();
    world.round(ONE);
    await world.arrives(FAST, ONE, null);
    const many = Array.from({ length: 40 }, (_, minute) => nameAt(10 + minute));
    for (const name of many) world.round(name);
    await world.arrives(SLOW, ONE, null);
    world.round(nameAt(60));
    expect(await world.settled()).toEqual([ONE]);
  });

  it('is said once of each, and never of an older one again', async () => {
    const world = new World();
    world.round(ONE, TWO);
    for (const dataset of [FAST, SLOW]) {
      await world.arrives(dataset, ONE, null);
      await world.arrives(dataset, TWO, ONE);
    }
    expect(world.words.at(-1)).toBe(TWO);
    const said = [...world.words];
    world.round();
    world.round();
    expect(await world.settled()).toEqual(said);
  });

  it('is said by the order of the snapshots, not by a clock that has gone back', async () => {
    const world = new World();
    world.round(THREE);
    for (const dataset of [FAST, SLOW]) await world.arrives(dataset, THREE, null);
    world.round(ONE);
    for (const dataset of [FAST, SLOW]) await world.arrives(dataset, ONE, THREE);
    expect(world.words).toEqual([THREE, ONE]);
  });

  it.each([true, false])(
    'names what is there and no part of that, where the other side takes it: %s',
    async (takes) => {
      const world = new World();
      world.takesLeftOut = takes;
      world.round(ONE);
      for (const dataset of [FAST, SLOW]) await world.arrives(dataset, ONE, null);
      world.isExcluded = (dataset) => dataset === SLOW;
      world.round(TWO);
      await world.arrives(FAST, TWO, ONE);
      expect(world.words).toEqual([ONE, TWO]);
      const since = (START + 60_000) / 1000;
      expect(world.leftOut).toEqual([null, takes ? [{ dataset: SLOW, since }] : null]);
      world.isExcluded = () => false;
      world.round(THREE);
      await world.arrives(FAST, THREE, TWO);
      await world.arrives(SLOW, TWO, ONE);
      await world.arrives(SLOW, THREE, TWO);
      expect([world.words.at(-1), world.leftOut.at(-1)]).toEqual([THREE, null]);
    },
  );
});
