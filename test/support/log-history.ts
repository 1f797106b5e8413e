/** Random histories of a node's persists, and what a disk may look like after a power cut or a fault. */
import fc from 'fast-check';
import type { Entry, HardState, Persist } from '../../src/core/index.ts';
import {
  applyBatch,
  applyMarker,
  type MarkerWrite,
  openStored,
  type StoredLog,
  type WritePlan,
} from '../../src/log/index.ts';
import { SLOT_BYTES } from '../../src/log/marker-file.ts';
import { ScriptedNode } from './log-fixtures.ts';

export type Step =
  | { readonly kind: 'vote' }
  | { readonly kind: 'append'; readonly count: number }
  /** A new term whose leader replaces the last `back` entries by `count` others. */
  | { readonly kind: 'conflict'; readonly back: number; readonly count: number }
  | { readonly kind: 'commit' }
  /** Several persists in one write. */
  | { readonly kind: 'merged'; readonly steps: readonly Step[] };

const plain: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>({ kind: 'vote' }),
  fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant('conflict' as const),
    back: fc.integer({ min: 1, max: 5 }),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  fc.constant<Step>({ kind: 'commit' }),
);
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: plain },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('merged' as const),
      steps: fc.array(plain, { minLength: 2, maxLength: 4 }),
    }),
  },
);
export const someSteps = (maxLength: number) => fc.array(anyStep, { minLength: 1, maxLength });

export function persistsOf(node: ScriptedNode, step: Step): Persist[] {
  switch (step.kind) {
    case 'vote':
      return [node.vote()];
    case 'append':
      return [node.append(step.count)];
    case 'commit':
      return [node.commit(node.log.length)];
    case 'conflict': {
      const from = Math.max(1, node.log.length + 1 - step.back);
      return [node.vote('w'), node.replaceFrom(from, step.count)];
    }
    case 'merged':
      return step.steps.flatMap((one) => persistsOf(node, one));
  }
}

export interface Remembered {
  readonly log: readonly Entry[];
  readonly hardState: HardState;
}
/** The disk and the node's memory after each write; `[0]` is before the first. */
export interface History {
  readonly disks: readonly StoredLog[];
  readonly plans: readonly WritePlan[];
  readonly memories: readonly Remembered[];
}

export function play(steps: readonly Step[], start: StoredLog): History {
  const { recovered, writer } = openStored(start);
  const node = new ScriptedNode(recovered.entries, recovered.hardState);
  const remember = (): Remembered => ({ log: node.log, hardState: node.hardState });
  const disks = [start];
  const plans: WritePlan[] = [];
  const memories = [remember()];
  let disk = start;
  for (const step of steps) {
    const plan = writer.plan(persistsOf(node, step));
    disk = applyMarker(applyBatch(disk, plan.batch), plan.marker);
    plans.push(plan);
    disks.push(disk);
    memories.push(remember());
  }
  return { disks, plans, memories };
}

/** The slot's block as `MarkerFile` writes it. */
export function block(bytes: Uint8Array | null): Uint8Array {
  const whole = new Uint8Array(SLOT_BYTES);
  if (bytes !== null) whole.set(bytes);
  return whole;
}

/** A write of a slot of which only the bytes from `from` to `to` reached the disk. */
export function tornMarker(stored: StoredLog, marker: MarkerWrite, from: number, to: number): StoredLog {
  const torn = block(stored.slots[marker.slot]);
  torn.set(block(marker.bytes).subarray(from, to), from);
  return applyMarker(stored, { slot: marker.slot, bytes: torn });
}
