import {
  AssignPrivateIpAddressesCommand,
  CreateRouteCommand,
  DeleteRouteCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  A,
  B,
  eventually,
  OVERLAY,
  outcome,
  pause,
  ROUTES,
  type Running,
  startController,
  VIP,
} from './support.ts';

let running: Running;
beforeEach(async () => {
  running = await startController();
});
afterEach(() => running.stop());

const ipsOf = (id: string) => running.controller.world.interfaces.get(id)?.privateIps;

describe('DescribeNetworkInterfaces', () => {
  it('shows attachment, addresses and the association that lives now', async () => {
    const reply = await running.ec2.send(
      new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [A.eni] }),
    );
    expect(reply.NetworkInterfaces).toMatchObject([
      {
        NetworkInterfaceId: A.eni,
        AvailabilityZone: 'us-east-1a',
        Status: 'in-use',
        SourceDestCheck: true,
        Groups: [{ GroupId: 'sg-open', GroupName: 'sg-open' }],
        Attachment: { InstanceId: A.instance, DeviceIndex: 0, Status: 'attached' },
        Association: { PublicIp: VIP.ip, AllocationId: VIP.allocation },
        PrivateIpAddresses: [{ PrivateIpAddress: A.ip, Primary: true }, { PrivateIpAddress: A.floating }],
      },
    ]);
  });

  it.each([
    ['attachment.instance-id', A.instance, [A.eni]],
    ['addresses.private-ip-address', A.floating, [A.eni]],
    ['availability-zone', 'us-east-1b', [B.eni]],
    ['association.allocation-id', VIP.allocation, [A.eni]],
    ['group-id', 'sg-isolated', []],
  ])('filters by %s = %s', async (Name, value, expected) => {
    const command = new DescribeNetworkInterfacesCommand({ Filters: [{ Name, Values: [value] }] });
    const reply = await running.ec2.send(command);
    expect(reply.NetworkInterfaces?.map((one) => one.NetworkInterfaceId)).toEqual(expected);
  });

  it('refuses an unknown id', async () => {
    const command = new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: ['eni-0'] });
    expect(await outcome(running.ec2.send(command))).toBe('400 InvalidNetworkInterfaceID.NotFound');
  });
});

describe('AssignPrivateIpAddresses', () => {
  const assign = (input: object) =>
    running.ec2.send(
      new AssignPrivateIpAddressesCommand({
        NetworkInterfaceId: B.eni,
        PrivateIpAddresses: [A.floating],
        ...input,
      }),
    );

  it('refuses a taken address without AllowReassignment', async () => {
    expect(await outcome(assign({}))).toBe('400 InvalidParameterValue');
    await pause(250);
    expect(ipsOf(A.eni)).toContain(A.floating);
  });

  it('moves it with AllowReassignment, asynchronously, and its elastic IP with it', async () => {
    const { AssociateAddressCommand } = await import('@aws-sdk/client-ec2');
    await running.ec2.send(
      new AssociateAddressCommand({
        AllocationId: VIP.allocation,
        NetworkInterfaceId: A.eni,
        PrivateIpAddress: A.floating,
      }),
    );
    const reply = await assign({ AllowReassignment: true });
    expect(reply.AssignedPrivateIpAddresses).toEqual([{ PrivateIpAddress: A.floating }]);
    expect(ipsOf(A.eni)).toContain(A.floating);
    await eventually(() => ipsOf(B.eni)?.includes(A.floating) === true);
    expect(ipsOf(A.eni)).toEqual([A.ip]);
    expect(running.controller.lookup(VIP.ip)?.target).toMatchObject({
      interfaceId: B.eni,
      privateIp: A.floating,
    });
  });

  it('adds a free address, and knows limits, primaries and zones', async () => {
    const free = A.floating.replace(/101$/, '102');
    await assign({ PrivateIpAddresses: [free] });
    await eventually(() => ipsOf(B.eni)?.includes(free) === true);
    expect(await outcome(assign({ PrivateIpAddresses: [A.ip], AllowReassignment: true }))).toBe(
      '400 InvalidParameterValue',
    );
    const many = Array.from({ length: 15 }, (_, n) => A.floating.replace(/101$/, String(120 + n)));
    expect(await outcome(assign({ PrivateIpAddresses: many }))).toBe('400 PrivateIpAddressLimitExceeded');
    expect(await outcome(assign({ NetworkInterfaceId: 'eni-0' }))).toBe(
      '400 InvalidNetworkInterfaceID.NotFound',
    );
    expect(await outcome(assign({ PrivateIpAddresses: [] }))).toBe('400 MissingParameter');
  });

  it('does not cross zones: an address belongs to its subnet', async () => {
    const block = (ip: string) => `${ip.slice(0, ip.lastIndexOf('.'))}.0/25`;
    const other = await startController({
      subnets: [
        { id: 'subnet-a', zone: 'us-east-1a', cidr: block(A.ip) },
        { id: 'subnet-b', zone: 'us-east-1b', cidr: `${B.ip}/32` },
      ],
    });
    try {
      const command = new AssignPrivateIpAddressesCommand({
        NetworkInterfaceId: B.eni,
        PrivateIpAddresses: [A.floating],
        AllowReassignment: true,
      });
      expect(await outcome(other.ec2.send(command))).toBe('400 InvalidParameterValue');
    } finally {
      await other.stop();
    }
  });

  it('UnassignPrivateIpAddresses takes a secondary address off, never the primary', async () => {
    const unassign = (ip: string) =>
      outcome(
        running.ec2.send(
          new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId: A.eni, PrivateIpAddresses: [ip] }),
        ),
      );
    expect(await unassign(A.floating)).toBe('ok');
    expect(ipsOf(A.eni)).toEqual([A.ip]);
    expect(await unassign(A.floating)).toBe('400 InvalidParameterValue');
    expect(await unassign(A.ip)).toBe('400 InvalidParameterValue');
  });
});

it('ModifyNetworkInterfaceAttribute changes one attribute per call', async () => {
  const modify = (input: object) =>
    outcome(
      running.ec2.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: A.eni, ...input })),
    );
  expect(await modify({ SourceDestCheck: { Value: false } })).toBe('ok');
  expect(await modify({ Groups: ['sg-isolated'] })).toBe('ok');
  expect(running.controller.world.interfaces.get(A.eni)).toMatchObject({
    sourceDestCheck: false,
    groups: ['sg-isolated'],
  });
  expect(await modify({ Groups: ['sg-unknown'] })).toBe('400 InvalidGroup.NotFound');
  expect(await modify({})).toBe('400 InvalidParameterCombination');
  expect(await modify({ Groups: ['sg-open'], SourceDestCheck: { Value: true } })).toBe(
    '400 InvalidParameterCombination',
  );
  expect(await modify({ Groups: ['sg-open'], DryRun: true })).toBe('412 DryRunOperation');
  expect(running.controller.world.interfaces.get(A.eni)?.groups).toEqual(['sg-isolated']);
});

describe('routes', () => {
  const routes = async () => {
    const reply = await running.ec2.send(new DescribeRouteTablesCommand({ RouteTableIds: [ROUTES] }));
    return reply.RouteTables?.[0]?.Routes;
  };
  const place = { RouteTableId: ROUTES, DestinationCidrBlock: OVERLAY };
  const replace = (input: object) =>
    outcome(running.ec2.send(new ReplaceRouteCommand({ ...place, NetworkInterfaceId: B.eni, ...input })));
  const create = (input: object) =>
    outcome(running.ec2.send(new CreateRouteCommand({ ...place, NetworkInterfaceId: B.eni, ...input })));

  it('DescribeRouteTables shows targets and origin', async () => {
    expect(await routes()).toMatchObject([
      { GatewayId: 'local', State: 'active', Origin: 'CreateRouteTable' },
      { DestinationCidrBlock: OVERLAY, NetworkInterfaceId: A.eni, InstanceId: A.instance, State: 'active' },
    ]);
    const filtered = new DescribeRouteTablesCommand({
      Filters: [{ Name: 'route.destination-cidr-block', Values: [OVERLAY] }],
    });
    expect((await running.ec2.send(filtered)).RouteTables).toHaveLength(1);
    const unknown = new DescribeRouteTablesCommand({ RouteTableIds: ['rtb-0'] });
    expect(await outcome(running.ec2.send(unknown))).toBe('400 InvalidRouteTableID.NotFound');
  });

  it('ReplaceRoute moves an existing route', async () => {
    expect(await replace({})).toBe('ok');
    expect((await routes())?.[1]).toMatchObject({ NetworkInterfaceId: B.eni, InstanceId: B.instance });
  });

  it('ReplaceRoute without a route, and CreateRoute with one, are refused', async () => {
    expect(await replace({ DestinationCidrBlock: '10.9.0.0/16' })).toBe('400 InvalidParameterValue');
    expect(await create({})).toBe('400 RouteAlreadyExists');
    // Host bits are cleared, as EC2 does: the same route again.
    expect(await create({ DestinationCidrBlock: '10.9.9.9/16' })).toBe('ok');
    expect(await create({ DestinationCidrBlock: '10.9.0.0/16' })).toBe('400 RouteAlreadyExists');
  });

  it('DeleteRoute removes it once', async () => {
    const remove = () => outcome(running.ec2.send(new DeleteRouteCommand(place)));
    expect(await remove()).toBe('ok');
    expect(await remove()).toBe('400 InvalidRoute.NotFound');
  });

  it('a route whose interface is gone is a black hole', async () => {
    running.controller.deleteInterface(A.eni);
    expect((await routes())?.[1]?.State).toBe('blackhole');
    expect(running.controller.lookup(VIP.ip)?.target).toBeNull();
  });

  it('names what is wrong, and then changes nothing', async () => {
    const before = running.controller.world;
    expect(await replace({ RouteTableId: 'rtb-0' })).toBe('400 InvalidRouteTableID.NotFound');
    expect(await replace({ NetworkInterfaceId: 'eni-0' })).toBe('400 InvalidNetworkInterfaceID.NotFound');
    expect(await replace({ NetworkInterfaceId: undefined })).toBe('400 MissingParameter');
    expect(await replace({ GatewayId: 'igw-1' })).toBe('400 InvalidParameterCombination');
    expect(await replace({ NetworkInterfaceId: undefined, GatewayId: 'igw-1' })).toBe(
      '400 InvalidGatewayID.NotFound',
    );
    expect(await replace({ DestinationCidrBlock: 'everywhere' })).toBe('400 InvalidParameterValue');
    expect(await replace({ DryRun: true })).toBe('412 DryRunOperation');
    expect(await create({ DryRun: true })).toBe('412 DryRunOperation');
    expect(running.controller.world).toBe(before);
  });
});
