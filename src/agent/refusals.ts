/** Refusals of operators' requests, each with the reason for programs beside the sentence for people. */
import type { SwitchoverCheck } from '../admin/index.ts';
import type { CoreView } from '../core/index.ts';
import { type ErrorCode, QuorateError } from '../errors.ts';
import { type Violation, violationType } from '../refusal.ts';

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
 * Nothing may be awaited between this and the entry.
 * @param expected null: whichever; 0: nobody holds
 * @throws QuorateError `epoch-changed`
 */
export function requireEpoch({ state, self }: CoreView, expected: number | null): void {
  const { tenure } = state;
  const open = tenure === null || tenure.released ? null : tenure;
  if (expected === null || expected === (open?.epoch ?? 0)) return;
  const now = open === null ? 'nobody holds' : `${open.node} holds under epoch ${open.epoch}`;
  const wanted = expected === 0 ? 'nobody was expected to hold' : `epoch ${expected} was expected`;
  const description = `${wanted}, and ${now}`;
  throw new QuorateError('epoch-changed', description, {
    context: {
      violations: [{ type: 'EPOCH', subject: open?.node ?? self, description }],
      facts: { epoch: String(open?.epoch ?? 0) },
    },
  });
}
