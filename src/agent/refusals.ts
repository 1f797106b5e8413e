/** Refusals of operators' requests, each with the reason for programs beside the sentence for people. */
import type { SwitchoverCheck } from '../admin/index.ts';
import type { CoreView } from '../core/index.ts';
import { type ErrorCode, QuorateError } from '../errors.ts';
import { ID_NOT_IN_LOG, type Violation, violationType } from '../refusal.ts';

/** For the checks that failed; at least one. */
export function refusedFor(
  what: string,
  failed: readonly SwitchoverCheck[],
  subject: string,
  code: ErrorCode,
): QuorateError {
  const violations = failed.map(({ name, detail }): Violation => {
    return { type: violationType(name), subject, description: detail };
  });
  const why = failed.map(({ detail }) => detail).join('; ');
  return new QuorateError(code, `${what} refused: ${why}`, { context: { violations } });
}

/** The core's answer to a proposal or a transfer. */
export function refusedByLeader(self: string, what: string, why: string): QuorateError {
  const violations: Violation[] = [{ type: 'LEADER', subject: self, description: why }];
  return new QuorateError('refused-unsafe', `${what}: ${why}`, { context: { violations } });
}

/**
 * Of an order about the tenure that this leader holds. One of an earlier term may still be open in the log: what was decided
 * about it must not be done by another node. Nothing may be awaited between this and the entry.
 * @param expected null: whichever; 0: nobody holds
 * @throws QuorateError `epoch-changed`
 */
export function requireHeldEpoch(view: CoreView, expected: number | null): void {
  const { hold, self } = view;
  if (expected === null) return;
  if (hold.kind === 'held' && hold.epoch === expected) return;
  if (expected === 0 && hold.kind === 'none') return requireOpenEpoch(view, expected);
  const open = openTenure(view);
  const isHeldHere = hold.kind === 'held' || open === null;
  throw epochChanged(view, expected, isHeldHere ? '' : `, not held by ${self}, which leads`);
}

/** Of an override, which is about a tenure that nobody holds any more: by the log alone. Otherwise as `requireHeldEpoch`. */
export function requireOpenEpoch(view: CoreView, expected: number | null): void {
  if (expected !== null && expected !== openEpoch(view)) throw epochChanged(view, expected);
}

/** Of an outcome that is not known, of an order whose id the log has not: only its epoch tells a repeat from a new one. */
export function idNotInLog(error: QuorateError): QuorateError {
  const message = `${error.message}; the log has no id of this request: a voter is of an older version`;
  const facts = { [ID_NOT_IN_LOG]: 'true' };
  return new QuorateError(error.code, message, { cause: error, context: { ...error.context, facts } });
}

/** Of the tenure that the log has open; 0: none. */
export const openEpoch = (view: CoreView): number => openTenure(view)?.epoch ?? 0;

function openTenure({ state: { tenure } }: CoreView) {
  return tenure === null || tenure.released ? null : tenure;
}

function epochChanged(view: CoreView, expected: number, besides = ''): QuorateError {
  const open = openTenure(view);
  const nobody = view.hold.kind === 'none' ? 'nobody holds' : `${view.self} is just taking over or releasing`;
  const now = open === null ? nobody : `epoch ${open.epoch} of ${open.node} is open${besides}`;
  const wanted = expected === 0 ? 'nobody was expected to hold' : `epoch ${expected} was expected`;
  const description = `${wanted}, and ${now}`;
  return new QuorateError('epoch-changed', description, {
    context: {
      violations: [{ type: 'EPOCH', subject: open?.node ?? view.self, description }],
      facts: { epoch: String(open?.epoch ?? 0) },
    },
  });
}
