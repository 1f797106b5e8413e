/**
 * What the resources and the fencer need of EC2, in our words. The SDK is behind it, in `ec2-client.ts`, a chunk of its
 * own. Each part depends on the smallest of these interfaces that it needs.
 */

/** Who has the address now; nulls mean nobody. */
export interface AddressView {
  readonly publicIp: string;
  readonly associationId: string | null;
  readonly interfaceId: string | null;
  /** The private address of that interface which it stands for. */
  readonly privateIp: string | null;
}

export interface RouteView {
  /** As EC2 stores it: host bits cleared. */
  readonly destination: string;
  /** `other`: a gateway, an endpoint, a peering: nothing that a member could be. */
  readonly target: { readonly kind: 'interface' | 'other'; readonly id: string };
  /** `blackhole`: the target is gone or does not run. */
  readonly state: 'active' | 'blackhole' | 'unknown';
}

export interface InterfaceView {
  readonly id: string;
  readonly subnetId: string;
  /** The subnet's: a private address moves inside one zone only. */
  readonly zone: string;
  /** EC2's word: `available`, `in-use`, ... */
  readonly status: string;
  readonly sourceDestCheck: boolean;
  readonly groups: readonly string[];
  /** The primary one first. */
  readonly privateIps: readonly string[];
  readonly attachment: {
    readonly instanceId: string;
    readonly deviceIndex: number;
    readonly status: string;
  } | null;
}

export const INSTANCE_STATES = [
  'pending',
  'running',
  'shutting-down',
  'terminated',
  'stopping',
  'stopped',
] as const;
/** `unknown`: EC2 said something that is not in its documentation. */
export type InstanceState = (typeof INSTANCE_STATES)[number] | 'unknown';

export interface Ec2CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** A reading waits for its first answer, however late. Otherwise it is asked again beside it. */
  readonly isPatient?: boolean;
}

export interface AddressApi {
  describeAddress(allocationId: string, options: Ec2CallOptions): Promise<AddressView>;
  /** One attempt (O2). Returns the new association's id. */
  associateAddress(
    request: {
      readonly allocationId: string;
      readonly interfaceId: string;
      /** Which of the interface's addresses; its primary one where absent. */
      readonly privateIp?: string;
      /** Always explicit: EC2's own default depends on who reads its documentation (d.0). */
      readonly allowReassociation: boolean;
    },
    options: Ec2CallOptions,
  ): Promise<string>;
  /** One attempt; an association that no longer exists is success. */
  disassociateAddress(associationId: string, options: Ec2CallOptions): Promise<void>;
}

export interface RouteRequest {
  readonly table: string;
  readonly destination: string;
  readonly interfaceId: string;
}

export interface RouteApi {
  /** The routes of each table asked for; EC2 refuses the whole call when it does not know one of them. */
  describeRouteTables(
    tables: readonly string[],
    options: Ec2CallOptions,
  ): Promise<ReadonlyMap<string, readonly RouteView[]>>;
  /** One attempt. Refused (`permanent`, see `isNoSuchRoute`) where the table has no such route. */
  replaceRoute(request: RouteRequest, options: Ec2CallOptions): Promise<void>;
  /** One attempt. Refused (`already-associated`) where the table has such a route. */
  createRoute(request: RouteRequest, options: Ec2CallOptions): Promise<void>;
}

export interface InterfaceApi {
  /** In no particular order; EC2 refuses the whole call when it does not know one of them. */
  describeInterfaces(ids: readonly string[], options: Ec2CallOptions): Promise<readonly InterfaceView[]>;
  /** One attempt. EC2 accepts it at once and moves the address later. */
  assignPrivateIp(
    request: {
      readonly interfaceId: string;
      readonly address: string;
      readonly allowReassignment: boolean;
    },
    options: Ec2CallOptions,
  ): Promise<void>;
  /** One attempt. Replaces all security groups of the interface: the fencer's isolation. */
  modifyInterfaceGroups(
    request: { readonly interfaceId: string; readonly groups: readonly string[] },
    options: Ec2CallOptions,
  ): Promise<void>;
}

export interface InstanceApi {
  /** The state of each instance asked for; EC2 refuses the whole call when it does not know one of them. */
  describeInstances(
    ids: readonly string[],
    options: Ec2CallOptions,
  ): Promise<ReadonlyMap<string, InstanceState>>;
  /** One attempt. What EC2 answers is where the instance came from and where it is going. */
  stopInstance(
    request: {
      readonly instanceId: string;
      readonly force: boolean;
      /** Without it even a forced stop first tries a clean shutdown, which may take minutes (complaint 7). */
      readonly skipOsShutdown: boolean;
    },
    options: Ec2CallOptions,
  ): Promise<{ readonly previous: InstanceState; readonly current: InstanceState }>;
}

export type Ec2Api = AddressApi & RouteApi & InterfaceApi & InstanceApi;

export type Ec2FailureKind =
  /** Token bucket empty: try again after a short jitter, inside the lease. */
  | 'throttled'
  /** Somebody has it, and the request did not allow taking it: AllowReassociation was false, or CreateRoute found one. */
  | 'already-associated'
  /** Wrong role, wrong id, wrong request: trying again changes nothing. */
  | 'permanent'
  /** Nobody listens there: nothing was executed. */
  | 'unreachable'
  /** Time-out, reset, 5xx: executed or not, nobody knows (O2). Read before acting. */
  | 'unknown-outcome'
  /** Called off by us; the request may still arrive. */
  | 'aborted';

/** A call to EC2, or to ELB, that did not succeed. */
export class Ec2Failure extends Error {
  override readonly name = 'Ec2Failure';
  readonly kind: Ec2FailureKind;
  /** The cloud's own code, or the socket's. */
  readonly code: string;

  constructor(kind: Ec2FailureKind, code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.code = code;
  }
}

/** ReplaceRoute where there is no route: "for some reason AWS returns InvalidParameterValue" (d.5). */
export function isNoSuchRoute(failure: Ec2Failure): boolean {
  return failure.code === 'InvalidRoute.NotFound' || failure.code === 'InvalidParameterValue';
}

/** Runs a mutating call only if it is allowed now; the refusal is a failure like any other. */
export function mutationGate(mayMutate: () => boolean) {
  return <Result>(call: () => Promise<Result>): Promise<Result> =>
    mayMutate() ? call() : Promise.reject(new Ec2Failure('aborted', 'LeaseEnded', 'the lease is over (O2)'));
}

/** O2: a mutating call is refused here, unsent, unless epoch and lease are valid now. Reading is always allowed. */
export function gatedEc2(api: Ec2Api, mayMutate: () => boolean): Ec2Api {
  const gated = mutationGate(mayMutate);
  return {
    describeAddress: (allocationId, options) => api.describeAddress(allocationId, options),
    describeRouteTables: (tables, options) => api.describeRouteTables(tables, options),
    describeInterfaces: (ids, options) => api.describeInterfaces(ids, options),
    describeInstances: (ids, options) => api.describeInstances(ids, options),
    associateAddress: (request, options) => gated(() => api.associateAddress(request, options)),
    disassociateAddress: (associationId, options) =>
      gated(() => api.disassociateAddress(associationId, options)),
    replaceRoute: (request, options) => gated(() => api.replaceRoute(request, options)),
    createRoute: (request, options) => gated(() => api.createRoute(request, options)),
    assignPrivateIp: (request, options) => gated(() => api.assignPrivateIp(request, options)),
    modifyInterfaceGroups: (request, options) => gated(() => api.modifyInterfaceGroups(request, options)),
    stopInstance: (request, options) => gated(() => api.stopInstance(request, options)),
  };
}
