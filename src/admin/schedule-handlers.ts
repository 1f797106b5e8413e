/** `ScheduleSwitchover` as the wire has it → the order that the agent takes. */
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { MovingOrder, ScheduleOrder } from './backend.ts';
import type { WireScheduleRequest } from './proto.ts';

/** @throws QuorateError `usage` where not exactly one time is given, or none that a clock can show */
export function scheduleOrder(
  { atMs, inMs, why, dryRun }: WireScheduleRequest,
  to: NodeId | null,
  order: MovingOrder,
): ScheduleOrder {
  return { ...order, to, why, dryRun, when: whenOf(atMs ?? null, inMs ?? null) };
}

function whenOf(atMs: number | null, inMs: number | null): ScheduleOrder['when'] {
  const ms = atMs ?? inMs;
  if (ms === null || (atMs !== null && inMs !== null))
    throw new QuorateError(
      'usage',
      'a switchover is scheduled at a time, or in so many milliseconds: one of both',
    );
  if (!Number.isFinite(ms) || ms <= 0) throw new QuorateError('usage', 'that is not a time to come');
  return { kind: atMs === null ? 'in' : 'at', ms };
}
