/**
 * What goes wrong in a run: a list, drawn from the seed before the run begins, so that a shorter list can be tried on the same
 * run (shrinking), and so that a person can read it.
 */
import { seededRandom } from '../../src/core/random.ts';

export const FAULT_KINDS = [
  'cut',
  'cut-one-way',
  'isolate',
  'stall',
  'slow-path',
  'kill-agent',
  'stop-agent',
  'kill-executor',
  'kill-both',
  'freeze-agent',
  'freeze-executor',
  'freeze-guard',
  'freeze-host',
  'suspend-host',
  'power-cut',
  'boot-loop',
  'double-power-cut',
  'disk-slow',
  'disk-hangs',
  'disk-fails',
  'disk-rots',
  'log-loses-its-end',
  'wall-jumps',
  'device-held-open',
  'device-disk-fails',
  'handler-reply-lost',
  'command-hangs',
  'service-fails',
  'service-unkillable',
  'service-dies',
  'stray-service',
  'cloud-trouble',
  'cloud-late',
  'switchover',
  'new-witness',
  'ambush',
  'late-acks',
  'near-miss',
  'stuck-service',
  'beset-takeover',
  'deserted-caretaker',
  'late-order',
  'override',
  'paused',
  'set-aside',
  'order-repeated',
  'retime',
  'restart-agent',
  'beset-restart',
  'scheduled',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  /** Virtual ms after the cluster has begun. */
  readonly at: number;
  readonly kind: FaultKind;
  /** A node's id, or a role that is looked up when it happens: `$leader`, `$second`, `$third`. */
  readonly node: string;
  readonly other: string;
  /** How long. */
  readonly ms: number;
  /** 0 to 1: whatever else the fault has to choose. */
  readonly chance: number;
}

export type Weights = Partial<Record<FaultKind, number>>;

export interface FaultPlan {
  readonly weights: Weights;
  readonly count: readonly [number, number];
  readonly spanMs: number;
  readonly promiseMs: number;
}

/** By term: who leads, and the others in the order of their ids. */
export const ROLES = ['$leader', '$second', '$third'] as const;

export function drawFaults(seed: number, ids: readonly string[], plan: FaultPlan): Fault[] {
  const random = seededRandom(seed, 'faults');
  const kinds = Object.entries(plan.weights) as [FaultKind, number][];
  const total = kinds.reduce((sum, [, weight]) => sum + weight, 0);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const drawKind = (): FaultKind => {
    let left = random() * total;
    for (const [kind, weight] of kinds) {
      left -= weight;
      if (left < 0) return kind;
    }
    return pick(kinds)[0];
  };
  const [least, most] = plan.count;
  const count = least + Math.floor(random() * (most - least + 1));
  const faults: Fault[] = [];
  for (let made = 0; made < count; made += 1) {
    const kind = drawKind();
    // Half of them aim at whoever leads then: that is where most goes wrong.
    const names = random() < 0.5 ? ROLES : ids;
    const node = pick(names);
    const other = pick(names.filter((name) => name !== node));
    // Storms: a fault often comes close behind another one.
    const near = faults.at(-1)?.at;
    const at =
      near !== undefined && random() < 0.5
        ? Math.min(plan.spanMs, near + random() * 600)
        : random() * plan.spanMs;
    faults.push({ at, kind, node, other, ms: lengthOf(kind, plan.promiseMs, random), chance: random() });
  }
  return faults.sort((left, right) => left.at - right.at);
}

function lengthOf(kind: FaultKind, promiseMs: number, random: () => number): number {
  switch (kind) {
    case 'stall':
    case 'slow-path':
      return 50 * 60 ** random();
    // 0.1 to 5 promises, short ones more often.
    case 'freeze-agent':
    case 'freeze-executor':
    case 'freeze-guard':
    case 'freeze-host':
    case 'suspend-host':
      return promiseMs * 0.1 * 50 ** random();
    case 'disk-hangs':
    case 'device-held-open':
    case 'service-unkillable':
    case 'stray-service':
    case 'command-hangs':
      return 50 * 100 ** random();
    default:
      return 200 + random() * 4_000;
  }
}

export function describeFault(fault: Fault): string {
  const { kind, node, other, ms } = fault;
  const length = `${(ms / 1000).toFixed(2)} s`;
  switch (kind) {
    case 'cut':
    case 'slow-path':
      return `${kind} ${node} ${other} for ${length}`;
    case 'cut-one-way':
    case 'stall':
      return `${kind} ${node} to ${other} for ${length}`;
    case 'double-power-cut':
      return `${kind} ${node} and ${other}, off for ${length}`;
    case 'switchover':
    case 'new-witness':
    case 'ambush':
    case 'late-acks':
    case 'near-miss':
    case 'stuck-service':
    case 'beset-takeover':
    case 'deserted-caretaker':
    case 'late-order':
    case 'override':
    case 'paused':
    case 'order-repeated':
    case 'retime':
    case 'beset-restart':
    case 'scheduled':
    case 'cloud-trouble':
    case 'cloud-late':
      return `${kind}${kind.startsWith('cloud') || kind === 'paused' || kind === 'order-repeated' ? ` for ${length}` : kind === 'scheduled' ? `, due in ${length}` : ''}`;
    default:
      return `${kind} ${node}, ${length}`;
  }
}
