/** QuorateErrors over gRPC: the code travels in the trailing metadata, the sentence as the status' details. */
import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { ERRORS, type ErrorCode, EXIT, QuorateError } from '../errors.ts';
import { DETAILS_KEY, decodeDetails, encodeDetails } from './details.ts';

const CODE_KEY = 'quorate-code';

export function toStatus(error: unknown): Partial<StatusObject> {
  if (!(error instanceof QuorateError)) {
    const details = error instanceof Error ? error.message : String(error);
    return { code: status.INTERNAL, details };
  }
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  const code = statusCodeOf(error.code);
  metadata.set(DETAILS_KEY, encodeDetails(error, code));
  return { code, details: error.message, metadata };
}

function statusCodeOf(code: ErrorCode): status {
  if (code === 'not-authorised') return status.PERMISSION_DENIED;
  if (code === 'too-many-requests') return status.RESOURCE_EXHAUSTED;
  switch (ERRORS[code].exit) {
    case EXIT.usage:
      return status.INVALID_ARGUMENT;
    case EXIT.unknown:
      return status.UNKNOWN;
    case EXIT.failed:
    case EXIT.refused:
      return status.FAILED_PRECONDITION;
    default:
      return status.INTERNAL;
  }
}

/**
 * `mayHaveActed`: the request changes something, so that a lost answer leaves the outcome unknown (exit code 5);
 * for a pure question it only means that nobody answered (3).
 */
export function fromServiceError(error: ServiceError, address: string, mayHaveActed: boolean): QuorateError {
  const code = error.metadata?.get(CODE_KEY)[0];
  const message = error.details || error.message;
  if (typeof code === 'string' && Object.hasOwn(ERRORS, code))
    return new QuorateError(code as ErrorCode, message, {
      cause: error,
      context: { ...decodeDetails(error.metadata.get(DETAILS_KEY)[0]) },
    });
  if (error.code === status.UNIMPLEMENTED)
    return new QuorateError('answer-invalid', `the agent at ${address} does not know this request`);
  const isSilent = error.code === status.DEADLINE_EXCEEDED || error.code === status.CANCELLED;
  // Connected and then lost: the request may have arrived. Never connected: it cannot have.
  const wasLost = error.code === status.UNAVAILABLE && !/No connection established/i.test(message);
  if (mayHaveActed && (isSilent || wasLost || error.code === status.INTERNAL))
    return new QuorateError('timed-out-unknown', `no answer from ${address}: ${message}`, { cause: error });
  if (isSilent || error.code === status.UNAVAILABLE)
    return new QuorateError('agent-unreachable', `no agent answers at ${address}: ${dialFailure(message)}`, {
      cause: error,
    });
  return new QuorateError('answer-invalid', `the agent at ${address} failed: ${message}`, { cause: error });
}

/** gRPC wraps the one fact in its own words, and keeps the reason of a failed handshake to itself. */
function dialFailure(message: string): string {
  const cause = /Last error: (?:Error: )?(.*?)\.? Resolution note:/s.exec(message)?.[1] ?? message;
  return /^Failed to connect/.test(cause) ? 'the TLS handshake failed or the connection was cut' : cause;
}
