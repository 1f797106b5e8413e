/**
 * Random histories of two pools: people and programs do what they like on either side, replication is cut off anywhere, and
 * whatever the planner wants done must be taken by ZFS, lose nothing, and come to an end.
 *
 * Used by `histories.test.ts`, and by `npm run sim -- --histories N`, which makes many of them and counts what they were.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { Guids, type ModelDataset, ModelPool, ZfsRefusal } from '../../cluster/zfs-model/index.ts';
import type { PoolPlan, Step } from '../../src/replication/index.ts';
import { MAX_RUN } from '../../src/replication/runs.ts';
import { perform, planOf, runsIn, stepsIn } from './perform.ts';

export const POOL = 'tank';
const NAMES = ['tank/a', 'tank/a/x', 'tank/b', 'tank/c'] as const;
/** Few: names come back. */
const SNAPSHOTS = ['s0', 's1', 's2', 's3'] as const;
/** Everything that a plan leaves to the next one: what broke off, then what came after it. */
const MAX_ROUNDS = 4;

const side = fc.constantFrom('a' as const, 'b' as const);
const name = fc.constantFrom(...NAMES);
const snapshot = fc.constantFrom(...SNAPSHOTS);
export const event = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('create' as const), name, isEncrypted: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('write' as const), name }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), name, snapshot }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('bookmark' as const), name, snapshot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), side, name, snapshot }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('prune' as const), side, name, snapshot }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename' as const), side, name, to: name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot-there' as const), name, snapshot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('write-there' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('create-there' as const), name }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('replicate' as const),
      cutAt: fc.option(fc.nat(5), { freq: 2 }),
      /** Of one stream, as the other side takes it. */
      most: fc.constantFrom(1, 2, 3, 64),
      /** Of a run that is cut off: what has arrived before. */
      whole: fc.nat(3),
    }),
  },
);
export const history = fc.array(event, { minLength: 10, maxLength: 60, size: 'max' });
export type Event = typeof event extends fc.Arbitrary<infer Value> ? Value : never;
type Replicate = Omit<Extract<Event, { kind: 'replicate' }>, 'kind'>;

/** Somebody does something on the receiver: most of it ends in conflicts, behind which nothing more is seen. */
export const isThere = (event: Event): boolean =>
  event.kind.endsWith('-there') || ('side' in event && event.side === 'b');

/** Counts what happened, by a word for it. */
export type Tally = (what: string) => void;

export class World {
  readonly guids = new Guids();
  readonly a = new ModelPool(POOL, this.guids);
  readonly b = new ModelPool(POOL, this.guids);
  /** What each snapshot was taken of, for ever. */
  readonly #contents = new Map<string, string>();
  readonly #tally: Tally;
  #writes = 0;

  constructor(tally: Tally = () => {}) {
    this.#tally = tally;
  }

  happens(event: Event): void {
    if (event.kind === 'replicate') {
      this.#tally('event: replicate');
      return this.replicate(event);
    }
    try {
      this.#people(event);
    } catch (error) {
      // They are told by ZFS that it cannot be done.
      if (!(error instanceof ZfsRefusal)) throw error;
      this.remember();
      return;
    }
    this.#tally(`event: ${event.kind}${'side' in event ? ` on ${event.side}` : ''}`);
    this.remember();
  }

  #people(event: Exclude<Event, { kind: 'replicate' }>): void {
    const { a, b } = this;
    switch (event.kind) {
      case 'create':
        return a.create(event.name, event.isEncrypted);
      case 'write':
        return a.write(event.name, `${this.#writes++},`);
      case 'snapshot':
        return a.snapshot(event.name, event.snapshot);
      case 'bookmark':
        return a.bookmark(event.name, event.snapshot);
      case 'hold':
        return this[event.side].hold(event.name, event.snapshot);
      case 'prune':
        return this[event.side].destroySnapshot(event.name, event.snapshot);
      case 'rename':
        return this[event.side].rename(event.name, event.to);
      case 'snapshot-there':
        return b.snapshot(event.name, event.snapshot);
      case 'write-there':
        b.get(event.name).isReadonly = false;
        return b.write(event.name, `${this.#writes++};`);
      case 'create-there':
        return b.create(event.name);
    }
  }

  remember(): void {
    for (const { snapshots } of [...this.a.datasets.values(), ...this.b.datasets.values()])
      for (const { guid, content } of snapshots)
        if (!this.#contents.has(guid)) {
          this.#contents.set(guid, content);
          this.#tally('snapshots');
        }
  }

  /** `cutAt`: before which step the power goes; a stream has begun by then. */
  replicate({ cutAt, most, whole }: Replicate): void {
    const plan = planOf(this.a, this.b);
    this.#commonIsFound(plan);
    for (const [at, step] of runsIn(plan, this.a, most).entries()) {
      const isCut = at === cutAt;
      const isRun = step.kind === 'incremental' && step.between !== undefined;
      this.#tally(`step: ${isRun ? 'run' : step.kind}${isCut ? ', cut off' : ''}`);
      if (isCut && (step.kind === 'rename' || step.kind === 'abandon')) return;
      const before = [reachable(this.a), reachable(this.b)] as const;
      perform(step, this.a, this.b, isCut, whole);
      const [source, target] = [reachable(this.a), reachable(this.b)];
      allStay('a', before[0], source, step);
      allStay('b', before[1], target, step);
      this.#contentsAreRight();
      if (isCut) return;
    }
  }

  /** Checksums: a copy is what its snapshot was taken of. */
  #contentsAreRight(): void {
    for (const { snapshots } of this.b.datasets.values())
      for (const { guid, content, name } of snapshots)
        if (content !== this.#contents.get(guid)) throw new Error(`the copy @${name} has another content`);
  }

  /** Told from the model, not by the planner's own parts. */
  #commonIsFound(plan: ReturnType<typeof planOf>): void {
    for (const [name, source] of this.a.datasets) {
      const target = this.b.datasets.get(name);
      if (name === POOL || target === undefined || !mayGoOn(source, target)) continue;
      const decision = plan.tasks.find(({ dataset }) => dataset === name)?.decision;
      const isNameTaken = decision?.kind === 'conflict' && decision.reason === 'name-taken';
      const goesOn = ['incremental', 'bookmark', 'nothing'].includes(decision?.kind ?? '');
      if (!isNameTaken && !goesOn) throw new Error(`${name} could go on, and is not: ${decision?.why}`);
    }
  }
}

function mayGoOn(source: ModelDataset, target: ModelDataset): boolean {
  const newest = target.snapshots.at(-1);
  if (newest === undefined || target.partial !== null || newest.content !== target.content) return false;
  if (source.isEncrypted && !target.isEncrypted) return false;
  return [...source.snapshots, ...source.bookmarks].some(({ guid }) => guid === newest.guid);
}

/** Under the name of a dataset that can be listed, every one of them. */
const reachable = (pool: ModelPool): ReadonlySet<string> =>
  new Set([...pool.datasets.values()].flatMap(({ snapshots }) => snapshots.map(({ guid }) => guid)));

/** Without vitest's words, which cost more than everything else here. */
function allStay(node: string, before: ReadonlySet<string>, after: ReadonlySet<string>, step: Step): void {
  for (const guid of before)
    if (!after.has(guid)) throw new Error(`${node} has lost ${guid} by ${JSON.stringify(step)}`);
}

/** Until nothing is left to do. Throws where it does not come to that, or what is said to be done is not. */
export function quietDown(world: World): PoolPlan {
  for (let round = 0; round < MAX_ROUNDS; round++) world.replicate({ cutAt: null, most: MAX_RUN, whole: 0 });
  const plan = planOf(world.a, world.b);
  if (!isDeepStrictEqual(planOf(world.a, world.b), plan)) throw new Error('two plans of one state differ');
  const [left] = stepsIn(plan);
  if (left !== undefined) throw new Error(`it does not come to an end: ${JSON.stringify(left)}`);
  for (const { dataset, decision, state } of plan.tasks) {
    if (decision.kind !== 'nothing' || state === 'only-there') continue;
    const [source, target] = [world.a.get(dataset), world.b.get(dataset)];
    const newest = target.snapshots.at(-1)?.guid;
    const known = [...source.snapshots, ...source.bookmarks].find(({ guid }) => guid === newest);
    if (source.snapshots.some(({ txg }) => txg > (known?.txg ?? -1)))
      throw new Error(`${dataset}: nothing is to be done, and something newer has not arrived`);
  }
  return plan;
}

/** One history from its beginning to its end. */
export function runHistory(events: readonly Event[], isCalmThere: boolean, tally: Tally = () => {}): void {
  const world = new World(tally);
  for (const name of ['tank/a', 'tank/a/x']) world.a.create(name);
  for (const one of events) if (!(isCalmThere && isThere(one))) world.happens(one);
  const plan = quietDown(world);
  const conflicts = plan.tasks.flatMap(({ decision }) =>
    decision.kind === 'conflict' ? [decision.reason] : [],
  );
  for (const reason of new Set(conflicts)) tally(`end: conflict ${reason}`);
  tally(conflicts.length === 0 ? 'end: everything is common' : 'end: something is left to people');
}
