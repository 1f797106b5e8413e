/** What an error of the AWS SDK means. The models have no typed errors for us: names and codes are all there is (d.5). */
import { Ec2Failure, type Ec2FailureKind } from './ec2.ts';

const THROTTLE_CODES: ReadonlySet<string> = new Set([
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
]);
/** Somebody has it, and the request did not allow taking it. */
const TAKEN_CODES: ReadonlySet<string> = new Set(['Resource.AlreadyAssociated', 'RouteAlreadyExists']);
/** The resource is between two states; it passes. */
const PASSING_CODES: ReadonlySet<string> = new Set(['IncorrectState', 'IncorrectInstanceState']);
/** The address that the call should leave from is not on this host now, or nothing leads out from there. */
const NOT_FROM_HERE_CODES: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'ENETUNREACH']);
/** Nothing can have been executed: no connection, or no credentials to sign with. */
const NEVER_SENT_CODES: ReadonlySet<string> = new Set([
  ...NOT_FROM_HERE_CODES,
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'CredentialsProviderError',
]);

export async function translated<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw toFailure(error);
  }
}

export function toFailure(error: unknown): Ec2Failure {
  if (error instanceof Ec2Failure) return error;
  const { name, code, message, status } = describe(error);
  const known = code === '' ? name : code;
  return new Ec2Failure(failureKind(name, code, status), known, message, error);
}

/** Named as the SDK names it. */
export function calledOff(): Ec2Failure {
  return new Ec2Failure('aborted', 'AbortError', 'the call was called off');
}

/** What had not left is refused when it is ready at last: nothing can have been executed. */
export function outOfTime({ hasLeft }: { readonly hasLeft: boolean }, limitMs: number): Ec2Failure {
  return hasLeft
    ? new Ec2Failure('unknown-outcome', 'TimeoutError', `no answer within ${limitMs} ms`)
    : new Ec2Failure(
        'unreachable',
        'TimeoutError',
        `not sent within ${limitMs} ms: no credentials to sign it with, or the host is too slow`,
      );
}

export function isNotFromHere(failure: Ec2Failure): boolean {
  return NOT_FROM_HERE_CODES.has(failure.code);
}

function failureKind(name: string, code: string, status: number | null): Ec2FailureKind {
  if (name === 'AbortError') return 'aborted';
  if (THROTTLE_CODES.has(name)) return 'throttled';
  if (TAKEN_CODES.has(name)) return 'already-associated';
  if (NEVER_SENT_CODES.has(code) || NEVER_SENT_CODES.has(name)) return 'unreachable';
  if (PASSING_CODES.has(name)) return 'unknown-outcome';
  if (status !== null && status >= 400 && status < 500) return 'permanent';
  return 'unknown-outcome';
}

function describe(error: unknown): { name: string; code: string; message: string; status: number | null } {
  if (!(error instanceof Error)) return { name: 'Error', code: '', message: String(error), status: null };
  // Neither Node's nor the SDK's errors have a type that says this; both fields are checked below.
  const fields = error as Error & { code?: unknown; $metadata?: { httpStatusCode?: unknown } };
  const status = fields.$metadata?.httpStatusCode;
  return {
    name: error.name,
    code: typeof fields.code === 'string' ? fields.code : '',
    message: error.message || error.name,
    status: typeof status === 'number' ? status : null,
  };
}
