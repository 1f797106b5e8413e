/**
 * Ec2Api on the AWS SDK. Imported by the executor only, and dynamically: the import blocks the event loop for 0.1 to
 * 0.5 s and costs 30 MB (ec2.md). How calls leave is in `sdk-calls.ts`; here is what is asked and answered.
 */
import {
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  CreateRouteCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DisassociateAddressCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import {
  type AddressView,
  type Ec2Api,
  type Ec2CallOptions,
  Ec2Failure,
  type InstanceState,
  type InterfaceView,
  type RouteRequest,
  type RouteView,
} from './ec2.ts';
import { type DryRunAction, type DryRunResult, dryRun, isIgnored, routeInput } from './ec2-dry-run.ts';
import { addressView, instanceState, interfaceView, routeView } from './ec2-views.ts';
import { type CloudClientOptions, SdkCalls, WARM_READS, type WarmReport } from './sdk-calls.ts';

export { DENIED_CODES, type DryRunAction, type DryRunResult } from './ec2-dry-run.ts';
export type { CloudClientOptions as Ec2ClientOptions, WarmReport } from './sdk-calls.ts';
export { toFailure } from './sdk-failure.ts';

/** What a client that warms up looks at: anything that its role may read. */
export type WarmSubject =
  | { readonly kind: 'address'; readonly allocationId: string }
  | { readonly kind: 'route-tables'; readonly tables: readonly string[] }
  | { readonly kind: 'interfaces'; readonly ids: readonly string[] }
  | { readonly kind: 'instances'; readonly ids: readonly string[] };

export class Ec2Client implements Ec2Api {
  readonly #calls: SdkCalls<EC2Client>;
  #ignoresDryRun = false;

  constructor(options: CloudClientOptions) {
    this.#calls = new SdkCalls((config) => new EC2Client(config), options);
  }

  async describeAddress(allocationId: string, options: Ec2CallOptions): Promise<AddressView> {
    const command = new DescribeAddressesCommand({ AllocationIds: [allocationId] });
    const answer = await this.#calls.read((client, how) => client.send(command, how), options);
    const address = answer.Addresses?.[0];
    if (address === undefined)
      throw new Ec2Failure('permanent', 'InvalidAllocationID.NotFound', `${allocationId} is unknown`);
    return addressView(address, allocationId);
  }

  async describeRouteTables(
    tables: readonly string[],
    options: Ec2CallOptions,
  ): Promise<ReadonlyMap<string, readonly RouteView[]>> {
    const command = new DescribeRouteTablesCommand({ RouteTableIds: [...tables] });
    const answer = await this.#calls.read((client, how) => client.send(command, how), options);
    const found = new Map(
      (answer.RouteTables ?? []).map((table) => [
        table.RouteTableId ?? '',
        (table.Routes ?? []).map(routeView),
      ]),
    );
    const missing = tables.find((table) => !found.has(table));
    if (missing !== undefined)
      throw new Ec2Failure('permanent', 'InvalidRouteTableID.NotFound', `${missing} is unknown`);
    return found;
  }

  async describeInterfaces(
    ids: readonly string[],
    options: Ec2CallOptions,
  ): Promise<readonly InterfaceView[]> {
    const command = new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [...ids] });
    const answer = await this.#calls.read((client, how) => client.send(command, how), options);
    const views = (answer.NetworkInterfaces ?? []).map(interfaceView);
    const missing = ids.find((id) => !views.some((view) => view.id === id));
    if (missing !== undefined)
      throw new Ec2Failure('permanent', 'InvalidNetworkInterfaceID.NotFound', `${missing} is unknown`);
    return views;
  }

  async describeInstances(
    ids: readonly string[],
    options: Ec2CallOptions,
  ): Promise<ReadonlyMap<string, InstanceState>> {
    const command = new DescribeInstancesCommand({ InstanceIds: [...ids] });
    const answer = await this.#calls.read((client, how) => client.send(command, how), options);
    const instances = (answer.Reservations ?? []).flatMap((reservation) => reservation.Instances ?? []);
    const states = new Map(instances.map((one) => [one.InstanceId ?? '', instanceState(one.State)]));
    const missing = ids.find((id) => !states.has(id));
    if (missing !== undefined)
      throw new Ec2Failure('permanent', 'InvalidInstanceID.NotFound', `${missing} is unknown`);
    return states;
  }

  async associateAddress(
    request: { allocationId: string; interfaceId: string; privateIp?: string; allowReassociation: boolean },
    options: Ec2CallOptions,
  ): Promise<string> {
    const command = new AssociateAddressCommand({
      AllocationId: request.allocationId,
      NetworkInterfaceId: request.interfaceId,
      ...(request.privateIp === undefined ? {} : { PrivateIpAddress: request.privateIp }),
      AllowReassociation: request.allowReassociation,
    });
    const answer = await this.#calls.mutate((client, how) => client.send(command, how), options);
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
      await this.#calls.mutate((client, how) => client.send(command, how), options);
    } catch (error) {
      // Somebody reassociated it meanwhile: ours is gone, which is what was asked for (d.5).
      if (error instanceof Ec2Failure && error.code === 'InvalidAssociationID.NotFound') return;
      throw error;
    }
  }

  async replaceRoute(request: RouteRequest, options: Ec2CallOptions): Promise<void> {
    const command = new ReplaceRouteCommand(routeInput(request));
    await this.#calls.mutate((client, how) => client.send(command, how), options);
  }

  async createRoute(request: RouteRequest, options: Ec2CallOptions): Promise<void> {
    const command = new CreateRouteCommand(routeInput(request));
    await this.#calls.mutate((client, how) => client.send(command, how), options);
  }

  async assignPrivateIp(
    request: { interfaceId: string; address: string; allowReassignment: boolean },
    options: Ec2CallOptions,
  ): Promise<void> {
    const command = new AssignPrivateIpAddressesCommand({
      NetworkInterfaceId: request.interfaceId,
      PrivateIpAddresses: [request.address],
      AllowReassignment: request.allowReassignment,
    });
    await this.#calls.mutate((client, how) => client.send(command, how), options);
  }

  async modifyInterfaceGroups(
    request: { interfaceId: string; groups: readonly string[] },
    options: Ec2CallOptions,
  ): Promise<void> {
    const command = new ModifyNetworkInterfaceAttributeCommand({
      NetworkInterfaceId: request.interfaceId,
      Groups: [...request.groups],
    });
    await this.#calls.mutate((client, how) => client.send(command, how), options);
  }

  async stopInstance(
    request: { instanceId: string; force: boolean; skipOsShutdown: boolean },
    options: Ec2CallOptions,
  ): Promise<{ previous: InstanceState; current: InstanceState }> {
    const command = new StopInstancesCommand({
      InstanceIds: [request.instanceId],
      Force: request.force,
      SkipOsShutdown: request.skipOsShutdown,
    });
    const answer = await this.#calls.mutate((client, how) => client.send(command, how), options);
    const change = answer.StoppingInstances?.find((one) => one.InstanceId === request.instanceId);
    return {
      previous: instanceState(change?.PreviousState),
      current: instanceState(change?.CurrentState),
    };
  }

  /**
   * Whether our role may do this, as far as EC2 tells without doing it. Needs no lease. An endpoint that executes dry
   * runs (emulators) is not asked a second time.
   */
  async dryRun(action: DryRunAction, options: Ec2CallOptions): Promise<DryRunResult> {
    if (this.#ignoresDryRun) return { kind: 'unknown', code: 'DryRunIgnored' };
    const result = await this.#calls
      // Once: an endpoint that ignores `DryRun` would execute it.
      .read((client, how) => dryRun(client, action, how), { ...options, isPatient: true })
      .catch(
        (error: unknown): DryRunResult => ({
          kind: 'unknown',
          code: error instanceof Ec2Failure ? error.code : String(error),
        }),
      );
    this.#ignoresDryRun = isIgnored(result);
    return result;
  }

  /**
   * Resolves credentials, loads and compiles what the first calls need, opens the socket, and rehearses the mutations
   * of a takeover: none of them is a first call then. Needs no lease: nothing but reads is sent. Never throws; says what
   * could be done.
   */
  async warm(subject: WarmSubject, options: Ec2CallOptions): Promise<WarmReport> {
    let hasRead = false;
    for (let count = 0; count < WARM_READS; count++)
      hasRead = await this.#look(subject, { ...options, isPatient: true }).then(
        () => true,
        () => false,
      );
    return { hasRead, hasRehearsed: await this.#rehearse(options).catch(() => false) };
  }

  /** The id of the key that signs, for people; throws where there are no credentials. */
  async accessKey(): Promise<string> {
    return (await this.#calls.credentials()).accessKeyId;
  }

  close(): void {
    this.#calls.close();
  }

  #look(subject: WarmSubject, options: Ec2CallOptions): Promise<unknown> {
    switch (subject.kind) {
      case 'address':
        return this.describeAddress(subject.allocationId, options);
      case 'route-tables':
        return this.describeRouteTables(subject.tables, options);
      case 'interfaces':
        return this.describeInterfaces(subject.ids, options);
      case 'instances':
        return this.describeInstances(subject.ids, options);
    }
  }

  /** The ids are nobody's; the requests end in front of the socket. */
  async #rehearse(options: Ec2CallOptions): Promise<boolean> {
    const interfaceId = 'eni-00000000';
    const associate = {
      AllocationId: 'eipalloc-00000000',
      NetworkInterfaceId: interfaceId,
      AllowReassociation: true,
    };
    const hasAssociated = await this.#calls.rehearse(
      associate,
      '<AssociateAddressResponse><associationId>none</associationId></AssociateAddressResponse>',
      (client, how) => client.send(new AssociateAddressCommand(associate), how),
      options,
    );
    const route = routeInput({ table: 'rtb-00000000', destination: '192.0.2.1/32', interfaceId });
    const hasReplaced = await this.#calls.rehearse(
      route,
      '<ReplaceRouteResponse><return>true</return></ReplaceRouteResponse>',
      (client, how) => client.send(new ReplaceRouteCommand(route), how),
      options,
    );
    return hasAssociated && hasReplaced;
  }
}
