/** What the elastic IP needs of EC2, in our words. The SDK is behind it, in `ec2-client.ts`, a chunk of its own. */

/** Who has the address now; nulls mean nobody. */
export interface AddressView {
  readonly publicIp: string;
  readonly associationId: string | null;
  readonly interfaceId: string | null;
}

export interface Ec2CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface Ec2Api {
  describeAddress(allocationId: string, options: Ec2CallOptions): Promise<AddressView>;
  /** One attempt (O2). Returns the new association's id. */
  associateAddress(
    request: {
      readonly allocationId: string;
      readonly interfaceId: string;
      /** Always explicit: EC2's own default depends on who reads its documentation (d.0). */
      readonly allowReassociation: boolean;
    },
    options: Ec2CallOptions,
  ): Promise<string>;
  /** One attempt; an association that no longer exists is success. */
  disassociateAddress(associationId: string, options: Ec2CallOptions): Promise<void>;
}

export type Ec2FailureKind =
  /** Token bucket empty: try again after a short jitter, inside the lease. */
  | 'throttled'
  /** AllowReassociation was false and somebody has the address. */
  | 'already-associated'
  /** Wrong role, wrong id, wrong request: trying again changes nothing. */
  | 'permanent'
  /** Nobody listens there: nothing was executed. */
  | 'unreachable'
  /** Time-out, reset, 5xx: executed or not, nobody knows (O2). Read before acting. */
  | 'unknown-outcome'
  /** Called off by us; the request may still arrive. */
  | 'aborted';

export class Ec2Failure extends Error {
  override readonly name = 'Ec2Failure';
  readonly kind: Ec2FailureKind;
  /** EC2's own code, or the socket's. */
  readonly code: string;

  constructor(kind: Ec2FailureKind, code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.code = code;
  }
}

/** O2: a mutating call is refused here, unsent, unless epoch and lease are valid now. Reading is always allowed. */
export function gatedEc2(api: Ec2Api, mayMutate: () => boolean): Ec2Api {
  const gated = <Result>(call: () => Promise<Result>): Promise<Result> =>
    mayMutate() ? call() : Promise.reject(new Ec2Failure('aborted', 'LeaseEnded', 'the lease is over (O2)'));
  return {
    describeAddress: (allocationId, options) => api.describeAddress(allocationId, options),
    associateAddress: (request, options) => gated(() => api.associateAddress(request, options)),
    disassociateAddress: (associationId, options) =>
      gated(() => api.disassociateAddress(associationId, options)),
  };
}
