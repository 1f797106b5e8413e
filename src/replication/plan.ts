/**
 * Two pools of one name → what there is to do for each dataset, and in which steps. Pure.
 *
 * 1. No step destroys a snapshot on either side, or makes one unreachable: what would is a conflict, with its reason.
 * 2. What could not be read is unknown, and nothing is planned for it (H4).
 * 3. Steps are for the state that was read: after any of them, done or failed, one reads and plans again. Then there is less
 *    to do, never something else.
 */
import { isKept, isNearKept, KEPT } from '../resources/index.ts';
import { type ConflictReason, type Decision, decide, type Ends, type IsChanged } from './decide.ts';
import { type Filters, whyFiltered, whyNotReplicated } from './filters.ts';
import { type Match, matchDatasets } from './match.ts';
import type { Dataset, Point, Pool, PoolSide } from './pool.ts';
import { PoolTree, parentOf } from './pool-tree.ts';

export interface PlanInput {
  readonly pool: string;
  readonly ends: Ends;
  readonly source: PoolSide;
  readonly target: PoolSide;
  readonly filters: Filters;
  /** DRBD resources that the config puts below the pool. */
  readonly drbd: readonly string[];
  /** Of the target's datasets. */
  readonly isChanged: IsChanged;
}

export interface PoolPlan {
  readonly pool: string;
  /** `by-drbd`, `missing` and `unknown` have no tasks. */
  readonly state: 'planned' | 'by-drbd' | 'missing' | 'unknown';
  /** One sentence. */
  readonly why: string;
  readonly tasks: readonly Task[];
}

export interface Task {
  readonly dataset: string;
  readonly kind: Dataset['kind'];
  /** `only-there`: the source has nothing of it. */
  readonly state: 'new' | 'both' | 'renamed' | 'only-there';
  /** The name that the copy has until now. */
  readonly renamedFrom: string | null;
  readonly decision: Decision;
  /** To be sent, as far as the snapshots tell. */
  readonly bytes: number;
  /** What will make trouble if it stays so; sentences. */
  readonly warnings: readonly string[];
  readonly steps: readonly Step[];
}

export type Step =
  /** On the receiver. */
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  /** On the receiver, `zfs receive -A`: gives up a stream that broke off, and nothing else. */
  | { readonly kind: 'abandon'; readonly dataset: string }
  | { readonly kind: 'resume'; readonly dataset: string; readonly snapshot: string; readonly token: string }
  | { readonly kind: 'full'; readonly dataset: string; readonly snapshot: string; readonly isRaw: boolean }
  | {
      readonly kind: 'incremental';
      readonly dataset: string;
      /** "@NAME" or "#NAME". */
      readonly from: string;
      readonly snapshot: string;
      readonly isRaw: boolean;
      /** Oldest first: those that go along (runs.ts). No plan has them, only what is made of one. */
      readonly between?: readonly string[] | undefined;
    };

export type StreamStep = Extract<Step, { kind: 'full' | 'incremental' | 'resume' }>;
/** Of one dataset, in order; its copy has its name by then. */
export type ChainStep = Exclude<Step, { kind: 'rename' }>;

export function planReplication(input: PlanInput): PoolPlan {
  const { pool, source, target, ends } = input;
  const none = (state: PoolPlan['state'], why: string): PoolPlan => ({ pool, state, why, tasks: [] });
  const byDrbd = whyByDrbd(input);
  if (byDrbd !== null) return none('by-drbd', byDrbd);
  const sides = [
    { side: source, node: ends.from },
    { side: target, node: ends.to },
  ];
  for (const { side, node } of sides)
    if (side.kind === 'unknown') return none('unknown', `what ${node} has of it is not known: ${side.why}`);
  const absent = sides.flatMap(({ side, node }) =>
    side.kind === 'absent' ? [`${node} does not have it: ${side.why}`] : [],
  );
  if (source.kind !== 'read' || target.kind !== 'read') return none('missing', absent.join('; '));
  const tasks = new Planner(source.pool, target.pool, input).tasks();
  return { pool, state: 'planned', why: `from ${ends.from} to ${ends.to}`, tasks };
}

/** Every write is on both nodes already; and where one has it the other cannot. */
function whyByDrbd({ drbd, source, target, ends }: PlanInput): string | null {
  if (drbd.length > 0) return `stands on the DRBD resource ${drbd.join(', ')}: every write is on both nodes`;
  for (const [side, node] of [
    [source, ends.from],
    [target, ends.to],
  ] as const) {
    if (side.kind !== 'read') continue;
    const devices = side.pool.devices.filter((path) => /^\/dev\/drbd(\d+$|\/|_)/.test(path));
    if (devices.length > 0)
      return `stands on ${devices.join(', ')} on ${node}: what DRBD replicates is not sent once more`;
  }
  return null;
}

class Planner {
  readonly #source: Pool;
  readonly #target: Pool;
  readonly #input: PlanInput;
  readonly #matches: ReadonlyMap<string, Match>;
  /** What the steps so far will have made of the target. */
  readonly #tree: PoolTree;
  /** Will be copied whole, and cannot yet: without a snapshot, or below such a one. What lies in them goes after them. */
  readonly #awaited = new Set<string>();

  constructor(source: Pool, target: Pool, input: PlanInput) {
    this.#source = source;
    this.#target = target;
    this.#input = input;
    this.#matches = matchDatasets(source.datasets, target.datasets);
    this.#tree = new PoolTree(target.datasets);
  }

  tasks(): readonly Task[] {
    const tasks = this.#source.datasets.map((dataset) => this.#task(dataset));
    const known = new Set(this.#source.datasets.map(({ name }) => name));
    const moved = new Set(tasks.flatMap(({ renamedFrom }) => renamedFrom ?? []));
    const strays = this.#target.datasets.filter(
      ({ name }) =>
        !known.has(name) &&
        !moved.has(name) &&
        !isKept(this.#input.pool, name) &&
        whyFiltered(name, this.#input.filters) === null,
    );
    return [...tasks, ...strays.map((stray) => this.#stray(stray))];
  }

  #task(source: Dataset): Task {
    const match = this.#matchOf(source);
    const excluded = this.#whyExcluded(source);
    const copy = match.kind === 'same-name' || match.kind === 'renamed' ? match.copy : null;
    const isRenamed = match.kind === 'renamed' && excluded === null;
    const made = excluded === null ? this.#decide(source, match, copy) : null;
    const { decision, bytes, steps } = made ?? {
      decision: { kind: 'excluded', why: excluded ?? '' } as const,
      ...NOTHING,
    };
    return {
      dataset: source.name,
      kind: source.kind,
      state: copy === null ? 'new' : isRenamed ? 'renamed' : 'both',
      renamedFrom: isRenamed ? (copy?.name ?? null) : null,
      decision,
      bytes,
      warnings: excluded === null && copy !== null ? this.#warnings(copy) : [],
      steps,
    };
  }

  /** What is being set aside has not got its successor yet, and is nobody's copy. */
  #matchOf({ name }: Dataset): Match {
    const match = this.#matches.get(name) ?? { kind: 'none' };
    const isHalfWay = match.kind === 'renamed' && isKept(this.#input.pool, match.copy.name);
    return isHalfWay ? { kind: 'unclear', names: [match.copy.name] } : match;
  }

  #decide(source: Dataset, match: Match, copy: Dataset | null): Made {
    const { ends } = this.#input;
    if (isNearKept(source.name))
      return refused(
        'reserved-name',
        `has a name that is a beginning of ${KEPT}, and ${ends.to} takes nothing of that: rename it, or exclude it`,
      );
    if (match.kind === 'unclear')
      return refused(
        'ambiguous',
        `${ends.to} has its snapshots as ${match.names.join(' and ')}, and which name is right is not clear: rename it there`,
      );
    const decision = decide(source, copy, ends, this.#input.isChanged);
    if (decision.kind === 'conflict' || decision.kind === 'excluded') return { decision, ...NOTHING };
    const here = copy === null ? null : this.#tree.nameOf(copy.name);
    const isToMove = here !== null && here !== source.name;
    const isNew = decision.kind === 'full';
    const parent = parentOf(source.name);
    if (isNew && this.#awaited.has(parent)) {
      this.#awaited.add(source.name);
      const why = `is not on ${ends.to}, and goes after ${parent}, of which ${ends.from} has no snapshot yet`;
      return { decision: { ...decision, snapshots: [], abandons: false, why }, ...NOTHING };
    }
    if ((isNew || isToMove) && !this.#tree.hasParentOf(source.name))
      return refused('no-parent', `what it lies in is not on ${ends.to}: that must be there first`);
    // What was moved along with a dataset above it may have come to lie where this one belongs.
    if ((copy === null || isToMove) && this.#tree.has(source.name))
      return refused('name-taken', `${ends.to} will have another dataset by its name: rename that there`);
    if (isNew && decision.abandons && this.#tree.isParent(source.name))
      return refused(
        'foreign-stream',
        `part of a first copy is on ${ends.to}, and cannot be given up there while something lies below it`,
      );
    const bytes = bytesOf(decision, source);
    const free = this.#tree.freeFor(source.name);
    if (bytes > free)
      return refused('too-small', `needs ${bytes} bytes on ${ends.to}, where ${free} are left for it`);
    const steps = stepsOf(source, here, decision);
    if (isToMove) this.#tree.rename(here, source.name);
    this.#tree.spend(source.name, bytes);
    if (decision.kind === 'resume' || (isNew && decision.snapshots.length > 0)) this.#tree.add(source.name);
    else if (isNew && copy === null) this.#awaited.add(source.name);
    return { decision, bytes, steps };
  }

  #whyExcluded(source: Dataset): string | null {
    const { pool, ends, filters } = this.#input;
    return whyNotReplicated(source, { pool, from: ends.from, filters });
  }

  #warnings({ name, isReadonly }: Dataset): string[] {
    return isReadonly
      ? []
      : [`${name} is not read-only on ${this.#input.ends.to}: what is written there makes a conflict`];
  }

  #stray({ name, kind }: Dataset): Task {
    const { from, to } = this.#input.ends;
    const decision = {
      kind: 'nothing',
      why: `only ${to} has it, and ${from} nothing of it: it stays`,
    } as const;
    return {
      dataset: name,
      kind,
      state: 'only-there',
      renamedFrom: null,
      decision,
      warnings: [],
      ...NOTHING,
    };
  }
}

interface Made {
  readonly decision: Decision;
  readonly bytes: number;
  readonly steps: readonly Step[];
}

const NOTHING = { bytes: 0, steps: [] } as const;

const refused = (reason: ConflictReason, why: string): Made => ({
  decision: { kind: 'conflict', reason, why },
  ...NOTHING,
});

function bytesOf(decision: Decision, source: Dataset): number {
  switch (decision.kind) {
    case 'full':
      // The first snapshot is still to be taken, and will have everything.
      return decision.snapshots.length === 0 ? source.ownBytes : sum(decision.snapshots);
    case 'incremental':
    case 'bookmark':
      return sum(decision.snapshots);
    case 'resume':
      return decision.bytes;
    default:
      return 0;
  }
}

const sum = (snapshots: readonly { readonly written: number }[]): number =>
  snapshots.reduce((bytes, { written }) => bytes + written, 0);

/** `here`: the name of the copy on the receiver, by the steps before. */
function stepsOf(source: Dataset, here: string | null, decision: Decision): readonly Step[] {
  const dataset = source.name;
  const isRaw = source.encryption !== null;
  const move: Step[] = here === null || here === dataset ? [] : [{ kind: 'rename', from: here, to: dataset }];
  const chain = (start: string | null, snapshots: readonly Point[]): Step[] =>
    snapshots.map(({ name }, at) => {
      const from = at === 0 ? start : `@${snapshots[at - 1]?.name}`;
      return from === null
        ? { kind: 'full', dataset, snapshot: name, isRaw }
        : { kind: 'incremental', dataset, from, snapshot: name, isRaw };
    });
  switch (decision.kind) {
    case 'full':
      return [...given(decision.abandons, here ?? dataset), ...chain(null, decision.snapshots)];
    case 'incremental':
    case 'bookmark': {
      const mark = decision.kind === 'bookmark' ? '#' : '@';
      const sends = chain(`${mark}${decision.from.name}`, decision.snapshots);
      return [...move, ...given(decision.abandons, dataset), ...sends];
    }
    case 'resume':
      return [...move, { kind: 'resume', dataset, snapshot: decision.snapshot.name, token: decision.token }];
    case 'nothing':
      return move;
    default:
      return [];
  }
}

const given = (abandons: boolean, dataset: string): Step[] =>
  abandons ? [{ kind: 'abandon', dataset }] : [];
