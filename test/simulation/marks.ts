/** Places that a long run must have reached. Names come from `// mark:` comments and models (collected by scripts/sim.mjs), and from here. */
import type { EntryKind, MessageKind, StepDownReason } from '../../src/core/index.ts';

const MESSAGES = {
  heartbeat: true,
  'heartbeat-ack': true,
  append: true,
  'append-ack': true,
  'pre-vote': true,
  'pre-vote-ack': true,
  vote: true,
  'vote-ack': true,
  'timeout-now': true,
  renounced: true,
  // Sent by executors, over a call of its own: `statement-arrives`.
  released: false,
} as const satisfies Record<MessageKind, boolean>;

const ENTRIES = {
  config: true,
  elected: true,
  'tenure-granted': true,
  'tenure-released': true,
  'takeover-done': true,
  'peer-outdated': true,
  'peer-in-sync': true,
  'node-outdated': true,
  repaired: true,
  // The modelled clusters stop no instances.
  fenced: false,
  operator: true,
  'operator-result': true,
  forced: true,
  pause: true,
  standby: true,
  'switchover-scheduled': true,
  'switchover-begun': true,
  'switchover-ended': true,
  'restart-begun': true,
  'tenure-adopted': true,
  // A place kept in the format: nothing writes it yet.
  'timing-persisted': false,
  note: false,
} as const satisfies Record<EntryKind, boolean>;

const STEP_DOWNS = {
  'lease-lost': true,
  'newer-term': true,
  'disk-stalled': true,
  'executor-lost': true,
  'handed-over': true,
  'caretaker-bound': true,
  'no-successor': true,
  // After two minutes of a planned release: longer than a run.
  'release-stuck': false,
  'by-order': true,
  // The deadline would have to pass between an entry and its commit.
  'adoption-failed': false,
  // The process ends with it.
  stopped: false,
} as const satisfies Record<StepDownReason, boolean>;

declare global {
  var quorateMarks: readonly string[] | undefined;
  var quorateMark: ((name: string) => void) | undefined;
}

const wanted = (table: Readonly<Record<string, boolean>>, prefix: string): string[] =>
  Object.entries(table).flatMap(([name, isWanted]) => (isWanted ? [`${prefix}${name}`] : []));

export function allMarks(): readonly string[] {
  return [
    ...(globalThis.quorateMarks ?? []),
    ...wanted(MESSAGES, 'message-'),
    ...wanted(ENTRIES, 'entry-'),
    ...wanted(STEP_DOWNS, 'stepped-down-'),
  ].sort();
}

/** Lines of the product that are reached from here on belong to this run. */
export function collectMarks(marks: Set<string>): void {
  globalThis.quorateMark = (name) => marks.add(name);
}
