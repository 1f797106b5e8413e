/**
 * EC2 and ELB in memory, on a virtual clock, answering as they do; and the faults that a script names for the next
 * calls of one method. Readings can be made to show the past.
 */
import type { Clock } from '../../../src/clock.ts';
import {
  type AddressView,
  type Ec2Api,
  Ec2Failure,
  type ElbApi,
  type InstanceState,
  type RouteView,
  type Target,
  type TargetHealth,
} from '../../../src/resources/index.ts';

/** What becomes of one call. */
export type Fault =
  | { readonly kind: 'throttle' }
  /** Not executed; the code is EC2's. */
  | { readonly kind: 'refuse'; readonly code: string }
  /** Executed, and not answered. */
  | { readonly kind: 'lost-reply' }
  /** Not executed, and not answered. */
  | { readonly kind: 'lost-request' }
  /** Executed so much later; the caller has given up by then. */
  | { readonly kind: 'late'; readonly ms: number };

export interface RecordedCall {
  readonly method: string;
  readonly request: unknown;
  readonly atMs: number;
}

type Table = Map<string, RouteView>;
const READS = ['describeAddress', 'describeRouteTables', 'describeInterfaces', 'describeInstances'];

export class ScriptedCloud implements Ec2Api, ElbApi {
  readonly calls: RecordedCall[] = [];
  readonly tables = new Map<string, Table>();
  /** Interface to its private addresses. */
  readonly interfaces = new Map<string, string[]>();
  readonly groups = new Map<string, string[]>();
  readonly instances = new Map<string, InstanceState>();
  readonly targets = new Map<string, TargetHealth>();
  address: AddressView = { publicIp: '127.80.0.1', associationId: null, interfaceId: null, privateIp: null };
  reassignMs = 300;
  /** From `stopping` to `stopped`; null: never. */
  stoppingMs: number | null = 3000;
  /** What the next readings of a method show instead of the truth. */
  readonly shown = new Map<string, unknown[]>();
  readonly #faults = new Map<string, Fault[]>();
  readonly #clock: Clock;
  #ids = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  fail(method: string, ...faults: Fault[]): void {
    this.#faults.set(method, [...(this.#faults.get(method) ?? []), ...faults]);
  }

  show(method: string, ...answers: unknown[]): void {
    this.shown.set(method, [...(this.shown.get(method) ?? []), ...answers]);
  }

  get methods(): string[] {
    return this.calls.map(({ method }) => method);
  }

  of(method: string): unknown[] {
    return this.calls.filter((call) => call.method === method).map(({ request }) => request);
  }

  route(table: string, destination: string, id: string, state: RouteView['state'] = 'active'): void {
    const kind = id.startsWith('eni-') ? 'interface' : 'other';
    const routes: Table = this.tables.get(table) ?? new Map();
    this.tables.set(table, routes.set(destination, { destination, target: { kind, id }, state }));
  }

  leadsTo(table: string, destination: string): string | undefined {
    return this.tables.get(table)?.get(destination)?.target.id;
  }

  describeAddress(id: string): Promise<AddressView> {
    return this.#call('describeAddress', id, () => this.address);
  }

  associateAddress(request: Parameters<Ec2Api['associateAddress']>[0]): Promise<string> {
    return this.#call('associateAddress', request, () => {
      const { interfaceId, allowReassociation, privateIp } = request;
      if (this.address.interfaceId !== null && !allowReassociation)
        throw refusal('Resource.AlreadyAssociated');
      const associationId = `eipassoc-${++this.#ids}`;
      const primary = this.interfaces.get(interfaceId)?.[0] ?? null;
      this.address = { ...this.address, associationId, interfaceId, privateIp: privateIp ?? primary };
      return associationId;
    });
  }

  disassociateAddress(id: string): Promise<void> {
    return this.#call('disassociateAddress', id, () => {
      if (this.address.associationId !== id) return;
      this.address = { ...this.address, associationId: null, interfaceId: null, privateIp: null };
    });
  }

  describeRouteTables(tables: readonly string[]): Promise<ReadonlyMap<string, readonly RouteView[]>> {
    return this.#call('describeRouteTables', tables, () => {
      const missing = tables.find((table) => !this.tables.has(table));
      if (missing !== undefined) throw refusal('InvalidRouteTableID.NotFound');
      return new Map(tables.map((table) => [table, [...(this.tables.get(table)?.values() ?? [])]]));
    });
  }

  replaceRoute(request: Parameters<Ec2Api['replaceRoute']>[0]): Promise<void> {
    return this.#call('replaceRoute', request, () => {
      const { table, destination, interfaceId } = request;
      if (!this.tables.get(table)?.has(destination)) throw refusal('InvalidParameterValue');
      this.route(table, destination, interfaceId);
    });
  }

  createRoute(request: Parameters<Ec2Api['createRoute']>[0]): Promise<void> {
    return this.#call('createRoute', request, () => {
      const { table, destination, interfaceId } = request;
      if (this.tables.get(table)?.has(destination)) throw refusal('RouteAlreadyExists');
      this.route(table, destination, interfaceId);
    });
  }

  describeInterfaces(ids: readonly string[]): ReturnType<Ec2Api['describeInterfaces']> {
    return this.#call('describeInterfaces', ids, () =>
      ids.map((id) => {
        const privateIps = this.interfaces.get(id);
        if (privateIps === undefined) throw refusal('InvalidNetworkInterfaceID.NotFound');
        return {
          id,
          subnetId: 'subnet-1',
          zone: 'us-east-1a',
          status: 'in-use',
          sourceDestCheck: false,
          groups: this.groups.get(id) ?? [],
          privateIps: [...privateIps],
          attachment: null,
        };
      }),
    );
  }

  assignPrivateIp(request: Parameters<Ec2Api['assignPrivateIp']>[0]): Promise<void> {
    return this.#call('assignPrivateIp', request, () => {
      const { interfaceId, address } = request;
      this.#clock.after(this.reassignMs, () => {
        for (const [id, ips] of this.interfaces)
          this.interfaces.set(
            id,
            ips.filter((ip) => ip !== address),
          );
        this.interfaces.set(interfaceId, [...(this.interfaces.get(interfaceId) ?? []), address]);
      });
    });
  }

  modifyInterfaceGroups(request: Parameters<Ec2Api['modifyInterfaceGroups']>[0]): Promise<void> {
    return this.#call('modifyInterfaceGroups', request, () => {
      this.groups.set(request.interfaceId, [...request.groups]);
    });
  }

  describeInstances(ids: readonly string[]): ReturnType<Ec2Api['describeInstances']> {
    return this.#call('describeInstances', ids, () => {
      const missing = ids.find((id) => !this.instances.has(id));
      if (missing !== undefined) throw refusal('InvalidInstanceID.NotFound');
      return new Map(ids.map((id) => [id, this.instances.get(id) ?? 'unknown']));
    });
  }

  stopInstance(request: Parameters<Ec2Api['stopInstance']>[0]): ReturnType<Ec2Api['stopInstance']> {
    return this.#call('stopInstance', request, () => {
      const { instanceId } = request;
      const previous = this.instances.get(instanceId) ?? 'unknown';
      if (['pending', 'shutting-down', 'terminated'].includes(previous))
        throw new Ec2Failure('unknown-outcome', 'IncorrectInstanceState', `it is ${previous}`);
      if (previous === 'running') {
        this.instances.set(instanceId, 'stopping');
        if (this.stoppingMs !== null)
          this.#clock.after(this.stoppingMs, () => this.instances.set(instanceId, 'stopped'));
      }
      return { previous, current: this.instances.get(instanceId) ?? 'unknown' };
    });
  }

  describeTargetHealth(group: string): Promise<readonly TargetHealth[]> {
    return this.#call('describeTargetHealth', group, () => [...this.targets.values()]);
  }

  registerTargets(_group: string, targets: readonly Target[]): Promise<void> {
    return this.#call('registerTargets', targets, () => {
      for (const { id, port } of targets) {
        const known = this.targets.get(id);
        if (known !== undefined && known.state !== 'draining') continue;
        const health = { id, port: port ?? 2049, state: 'initial', reason: 'Elb.RegistrationInProgress' };
        this.targets.set(id, health);
      }
    });
  }

  deregisterTargets(_group: string, targets: readonly Target[]): Promise<void> {
    return this.#call('deregisterTargets', targets, () => {
      for (const { id } of targets) {
        const known = this.targets.get(id);
        if (known === undefined) continue;
        this.targets.set(id, { ...known, state: 'draining', reason: 'Target.DeregistrationInProgress' });
      }
    });
  }

  async #call<Result>(method: string, request: unknown, execute: () => Result): Promise<Result> {
    this.calls.push({ method, request, atMs: this.#clock.now() });
    const fault = this.#faults.get(method)?.shift();
    switch (fault?.kind) {
      case undefined:
        break;
      case 'throttle':
        throw new Ec2Failure('throttled', 'RequestLimitExceeded', 'Request limit exceeded.');
      case 'refuse':
        throw refusal(fault.code);
      case 'lost-reply':
        execute();
        throw new Ec2Failure('unknown-outcome', 'ECONNRESET', 'socket hang up');
      case 'lost-request':
        throw new Ec2Failure('unknown-outcome', 'TimeoutError', 'no answer');
      case 'late':
        this.#clock.after(fault.ms, () => execute());
        throw new Ec2Failure('unknown-outcome', 'TimeoutError', 'no answer');
    }
    const shown =
      READS.includes(method) || method === 'describeTargetHealth' ? this.shown.get(method) : undefined;
    // The script knows which answer belongs to which method.
    return shown !== undefined && shown.length > 0 ? (shown.shift() as Result) : execute();
  }
}

function refusal(code: string): Ec2Failure {
  const isTaken = code === 'Resource.AlreadyAssociated' || code === 'RouteAlreadyExists';
  return new Ec2Failure(isTaken ? 'already-associated' : 'permanent', code, 'as the test wants');
}
