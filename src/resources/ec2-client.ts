/**
 * Ec2Api on the AWS SDK. Imported by the executor only, and dynamically: the import blocks the event loop for 0.1 to
 * 0.5 s and costs 30 MB (ec2.md).
 *
 * Two clients: reads may be tried twice; a mutation once (O2), because a late retry of the SDK would steal the address
 * back. Whether a mutation is still allowed is asked before it is built (`gatedEc2`), and here again after signing,
 * right before the request leaves.
 */
import {
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DisassociateAddressCommand,
  EC2Client,
  type EC2ClientConfig,
} from '@aws-sdk/client-ec2';
import {
  type AddressView,
  type Ec2Api,
  type Ec2CallOptions,
  Ec2Failure,
  type Ec2FailureKind,
} from './ec2.ts';

const CONNECT_TIMEOUT_MS = 500;
const MUTATE_TIMEOUT_MS = 2000;
const READ_TIMEOUT_MS = 1000;
const MAX_SOCKETS = 8;

export interface Ec2ClientOptions {
  readonly region: string | null;
  readonly endpoint: string | null;
  /** The address of this node that calls leave from (`via`); null means the system's choice. */
  readonly localAddress: string | null;
  /** True only while epoch and lease are valid (O2). */
  readonly mayMutate: () => boolean;
}

export class Ec2Client implements Ec2Api {
  readonly #read: EC2Client;
  readonly #mutate: EC2Client;
  readonly #mayMutate: () => boolean;

  constructor(options: Ec2ClientOptions) {
    this.#read = new EC2Client(clientConfig(options, 2, READ_TIMEOUT_MS));
    this.#mutate = new EC2Client(clientConfig(options, 1, MUTATE_TIMEOUT_MS));
    this.#mayMutate = options.mayMutate;
    this.#mutate.middlewareStack.add(
      (next) => async (args) => {
        this.#assertMayMutate();
        return next(args);
      },
      { step: 'deserialize', priority: 'low', name: 'leaseGate' },
    );
  }

  async describeAddress(allocationId: string, options: Ec2CallOptions): Promise<AddressView> {
    const command = new DescribeAddressesCommand({ AllocationIds: [allocationId] });
    const answer = await translated(() => this.#read.send(command, callOptions(options)));
    const address = answer.Addresses?.[0];
    if (address === undefined)
      throw new Ec2Failure('permanent', 'InvalidAllocationID.NotFound', `${allocationId} is unknown`);
    return {
      publicIp: address.PublicIp ?? allocationId,
      associationId: emptyToNull(address.AssociationId),
      interfaceId: emptyToNull(address.NetworkInterfaceId),
    };
  }

  async associateAddress(
    request: { allocationId: string; interfaceId: string; allowReassociation: boolean },
    options: Ec2CallOptions,
  ): Promise<string> {
    const command = new AssociateAddressCommand({
      AllocationId: request.allocationId,
      NetworkInterfaceId: request.interfaceId,
      AllowReassociation: request.allowReassociation,
    });
    const answer = await translated(() => this.#mutate.send(command, callOptions(options)));
    if (answer.AssociationId === undefined) {
      throw new Ec2Failure(
        'unknown-outcome',
        'NoAssociationId',
        'AssociateAddress answered without an association id',
      );
    }
    return answer.AssociationId;
  }

  async disassociateAddress(associationId: string, options: Ec2CallOptions): Promise<void> {
    const command = new DisassociateAddressCommand({ AssociationId: associationId });
    try {
      await translated(() => this.#mutate.send(command, callOptions(options)));
    } catch (error) {
      // Somebody reassociated it meanwhile: ours is gone, which is what was asked for (d.5).
      if (error instanceof Ec2Failure && error.code === 'InvalidAssociationID.NotFound') return;
      throw error;
    }
  }

  /** Resolves credentials, loads and compiles what the first call needs, opens the socket. Never throws. */
  async warm(allocationId: string, options: Ec2CallOptions): Promise<void> {
    for (let call = 0; call < 2; call++)
      await this.describeAddress(allocationId, options).catch(() => undefined);
  }

  close(): void {
    this.#read.destroy();
    this.#mutate.destroy();
  }

  #assertMayMutate(): void {
    if (!this.#mayMutate()) throw new Ec2Failure('aborted', 'LeaseEnded', 'the lease is over (O2)');
  }
}

function clientConfig(
  options: Ec2ClientOptions,
  maxAttempts: number,
  requestTimeout: number,
): EC2ClientConfig {
  const agent = {
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    ...(options.localAddress === null ? {} : { localAddress: options.localAddress }),
  };
  return {
    ...(options.region === null ? {} : { region: options.region }),
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    maxAttempts,
    // Without throwOnRequestTimeout a time-out is only logged (ec2.md).
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
}

function callOptions(options: Ec2CallOptions): { abortSignal: AbortSignal; requestTimeout: number } {
  return { abortSignal: options.signal, requestTimeout: Math.max(1, Math.ceil(options.timeoutMs)) };
}

async function translated<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw toFailure(error);
  }
}

const THROTTLE_CODES: ReadonlySet<string> = new Set([
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
]);
/** The resource is between two states; it passes. */
const PASSING_CODES: ReadonlySet<string> = new Set(['IncorrectState', 'IncorrectInstanceState']);
/** Nothing can have been executed: no connection, or no credentials to sign with. */
const NEVER_SENT_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'CredentialsProviderError',
]);

/** EC2's model has no typed errors: names and codes are all there is (d.5). */
export function toFailure(error: unknown): Ec2Failure {
  if (error instanceof Ec2Failure) return error;
  const { name, code, message, status } = describe(error);
  const known = code === '' ? name : code;
  return new Ec2Failure(failureKind(name, code, status), known, message, error);
}

function failureKind(name: string, code: string, status: number | null): Ec2FailureKind {
  if (name === 'AbortError') return 'aborted';
  if (THROTTLE_CODES.has(name)) return 'throttled';
  if (name === 'Resource.AlreadyAssociated') return 'already-associated';
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

function emptyToNull(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value;
}
