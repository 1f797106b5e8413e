/**
 * The machine-readable part of an error: `google.rpc.Status` in the trailing metadata `grpc-status-details-bin`, with an ErrorInfo
 * in every one, and a PreconditionFailure where conditions were not met.
 */
import { z } from 'zod';
import { InvariantError } from '../core/index.ts';
import type { QuorateError } from '../errors.ts';
import { type Refusal, VIOLATION_TYPES, type Violation } from '../refusal.ts';
import { errorModel } from './proto.ts';

export const DETAILS_KEY = 'grpc-status-details-bin';
export const ERROR_DOMAIN = 'quorate';

/** gRPC gives a call's metadata 8 KiB altogether; what does not fit would cost the whole answer. */
const MAX_TEXT = 500;
const MAX_VIOLATIONS = 8;

const TYPE_URL = 'type.googleapis.com/';
const INFO = 'google.rpc.ErrorInfo';
const PRECONDITION = 'google.rpc.PreconditionFailure';

const refusalSchema = z.object({
  violations: z
    .array(z.object({ type: z.string(), subject: z.string(), description: z.string() }))
    .default([]),
  facts: z.record(z.string(), z.string()).default({}),
});

export function encodeDetails(error: QuorateError, grpcCode: number): Buffer {
  const { violations, facts } = refusalSchema.parse(error.context);
  const info = { reason: reasonOf(error), domain: ERROR_DOMAIN, metadata: { ...facts, code: error.code } };
  const details = [packed(INFO, info)];
  if (violations.length > 0)
    details.push(
      packed(PRECONDITION, {
        violations: violations
          .slice(0, MAX_VIOLATIONS)
          .map((one) => ({ ...one, description: one.description.slice(0, MAX_TEXT) })),
      }),
    );
  const message = error.message.slice(0, MAX_TEXT);
  return typeOf('google.rpc.Status').serialize({ code: grpcCode, message, details });
}

/** `not-leader` → `NOT_LEADER`. */
const reasonOf = ({ code }: QuorateError): string => code.toUpperCase().replaceAll('-', '_');

/** What another agent has sent: of an older version nothing, and nothing of what cannot be read. */
export function decodeDetails(bytes: unknown): Refusal {
  if (!(bytes instanceof Uint8Array)) return {};
  try {
    const { details } = z
      .object({ details: z.array(z.object({ type_url: z.string(), value: z.instanceof(Uint8Array) })) })
      .parse(typeOf('google.rpc.Status').deserialize(Buffer.from(bytes)));
    const unpacked = (name: string): object[] =>
      details
        .filter(({ type_url: url }) => url === TYPE_URL + name)
        .map(({ value }) => typeOf(name).deserialize(Buffer.from(value)));
    const { violations } = refusalSchema.parse(unpacked(PRECONDITION)[0] ?? {});
    const { metadata = {} } = z
      .object({ metadata: z.record(z.string(), z.string()).optional() })
      .parse(unpacked(INFO)[0] ?? {});
    return { facts: metadata, violations: violations.filter(isKnown) };
  } catch {
    // An error is told all the same.
    return {};
  }
}

const isKnown = (one: { type: string; subject: string; description: string }): one is Violation =>
  Object.hasOwn(VIOLATION_TYPES, one.type);

function packed(name: string, message: object) {
  return { type_url: TYPE_URL + name, value: typeOf(name).serialize(message) };
}

function typeOf(name: string) {
  const type = errorModel()[name];
  if (type === undefined || !('serialize' in type))
    throw new InvariantError(`the error model has no ${name}`);
  return type as { serialize(message: object): Buffer; deserialize(bytes: Buffer): object };
}
