import {
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DisassociateAddressCommand,
} from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { A, B, outcome, type Running, SPARE, startController, twoNodes, VIP } from './support.ts';

let running: Running;
beforeEach(async () => {
  running = await startController();
});
afterEach(() => running.stop());

const held = async () => {
  const reply = await running.ec2.send(new DescribeAddressesCommand({ AllocationIds: [VIP.allocation] }));
  return reply.Addresses?.[0];
};
const associate = (input: object) =>
  running.ec2.send(new AssociateAddressCommand({ AllocationId: VIP.allocation, ...input }));

describe('DescribeAddresses', () => {
  it('shows who holds an address, and leaves out what a free one does not have', async () => {
    const { Addresses } = await running.ec2.send(new DescribeAddressesCommand({}));
    expect(Addresses).toEqual([
      {
        InstanceId: A.instance,
        PublicIp: VIP.ip,
        AllocationId: VIP.allocation,
        AssociationId: expect.stringMatching(/^eipassoc-[0-9a-f]{17}$/),
        Domain: 'vpc',
        NetworkInterfaceId: A.eni,
        NetworkInterfaceOwnerId: '123456789012',
        PrivateIpAddress: A.ip,
        Tags: [{ Key: 'vip', Value: '1' }],
      },
      { InstanceId: '', PublicIp: SPARE.ip, AllocationId: SPARE.allocation, Domain: 'vpc' },
    ]);
  });

  it.each([
    ['tag:vip', '1', [VIP.allocation]],
    ['tag:vip', '2', []],
    ['tag-key', 'vip', [VIP.allocation]],
    ['allocation-id', SPARE.allocation, [SPARE.allocation]],
    ['allocation-id', 'eipalloc-*', [VIP.allocation, SPARE.allocation]],
    ['network-interface-id', A.eni, [VIP.allocation]],
    ['network-interface-id', B.eni, []],
    ['instance-id', A.instance, [VIP.allocation]],
    ['public-ip', SPARE.ip, [SPARE.allocation]],
    ['private-ip-address', A.ip, [VIP.allocation]],
    ['domain', 'vp?', [VIP.allocation, SPARE.allocation]],
  ])('filters by %s = %s', async (Name, value, expected) => {
    const reply = await running.ec2.send(
      new DescribeAddressesCommand({ Filters: [{ Name, Values: [value] }] }),
    );
    expect(reply.Addresses?.map((one) => one.AllocationId)).toEqual(expected);
  });

  it('filters by association-id, ands filters and ors values', async () => {
    const id = (await held())?.AssociationId ?? '';
    const send = async (Filters: { Name: string; Values: string[] }[]) =>
      (await running.ec2.send(new DescribeAddressesCommand({ Filters }))).Addresses?.length;
    expect(await send([{ Name: 'association-id', Values: ['eipassoc-0', id] }])).toBe(1);
    expect(
      await send([
        { Name: 'association-id', Values: [id] },
        { Name: 'public-ip', Values: [SPARE.ip] },
      ]),
    ).toBe(0);
  });

  it('selects by public address', async () => {
    const reply = await running.ec2.send(new DescribeAddressesCommand({ PublicIps: [SPARE.ip] }));
    expect(reply.Addresses?.map((one) => one.AllocationId)).toEqual([SPARE.allocation]);
  });

  it('names what is wrong', async () => {
    const send = (input: object) => outcome(running.ec2.send(new DescribeAddressesCommand(input)));
    expect(await send({ AllocationIds: ['eipalloc-0'] })).toBe('400 InvalidAllocationID.NotFound');
    expect(await send({ PublicIps: ['127.0.0.1'] })).toBe('400 InvalidAddress.NotFound');
    expect(await send({ Filters: [{ Name: 'colour', Values: ['red'] }] })).toBe('400 InvalidParameterValue');
    expect(await send({ Filters: [{ Name: 'toString', Values: ['x'] }] })).toBe('400 InvalidParameterValue');
  });
});

describe('AssociateAddress', () => {
  it('steals without being told to: absent AllowReassociation means true', async () => {
    const before = await held();
    const { AssociationId } = await associate({ NetworkInterfaceId: B.eni });
    expect(AssociationId).toMatch(/^eipassoc-[0-9a-f]{17}$/);
    expect(AssociationId).not.toBe(before?.AssociationId);
    expect(await held()).toMatchObject({ AssociationId, NetworkInterfaceId: B.eni, PrivateIpAddress: B.ip });
  });

  it('with AllowReassociation=false refuses a held address, even on its holder, and takes a free one', async () => {
    const before = await held();
    const refuse = (NetworkInterfaceId: string) =>
      outcome(associate({ NetworkInterfaceId, AllowReassociation: false }));
    expect(await refuse(B.eni)).toBe('400 Resource.AlreadyAssociated');
    expect(await refuse(A.eni)).toBe('400 Resource.AlreadyAssociated');
    expect(await held()).toEqual(before);
    await running.ec2.send(new DisassociateAddressCommand({ AssociationId: before?.AssociationId }));
    await associate({ NetworkInterfaceId: B.eni, AllowReassociation: false });
    expect((await held())?.NetworkInterfaceId).toBe(B.eni);
  });

  it('gives every association a new id, also the repeated one', async () => {
    const ids = new Set<string | undefined>([(await held())?.AssociationId]);
    for (const NetworkInterfaceId of [B.eni, B.eni, A.eni, B.eni]) {
      ids.add((await associate({ NetworkInterfaceId, AllowReassociation: true })).AssociationId);
    }
    expect(ids.size).toBe(5);
  });

  it('takes the address off the old interface and its instance', async () => {
    await associate({ NetworkInterfaceId: B.eni, AllowReassociation: true });
    const { NetworkInterfaces } = await running.ec2.send(new DescribeNetworkInterfacesCommand({}));
    const shown = NetworkInterfaces?.map((one) => [one.NetworkInterfaceId, one.Association?.PublicIp]);
    expect(shown).toEqual([
      [A.eni, undefined],
      [B.eni, VIP.ip],
    ]);
    const { Reservations } = await running.ec2.send(
      new DescribeInstancesCommand({ InstanceIds: [A.instance] }),
    );
    expect(Reservations?.[0]?.Instances?.[0]?.PublicIpAddress).toBeUndefined();
  });

  it('goes to a chosen private address, or to the only interface of an instance', async () => {
    await associate({ NetworkInterfaceId: A.eni, PrivateIpAddress: A.floating });
    expect((await held())?.PrivateIpAddress).toBe(A.floating);
    await associate({ InstanceId: B.instance });
    expect((await held())?.NetworkInterfaceId).toBe(B.eni);
  });

  it('displaces the elastic IP that the private address held, unless reassociation is forbidden', async () => {
    const spare = (AllowReassociation: boolean) =>
      running.ec2.send(
        new AssociateAddressCommand({
          AllocationId: SPARE.allocation,
          NetworkInterfaceId: A.eni,
          AllowReassociation,
        }),
      );
    expect(await outcome(spare(false))).toBe('400 Resource.AlreadyAssociated');
    await spare(true);
    expect((await held())?.AssociationId).toBeUndefined();
  });

  it('names what is wrong, and then changes nothing', async () => {
    const before = running.controller.world;
    const wrong = (input: object) => outcome(associate(input));
    expect(await wrong({})).toBe('400 MissingParameter');
    expect(await wrong({ AllocationId: undefined, NetworkInterfaceId: B.eni })).toBe('400 MissingParameter');
    expect(await wrong({ AllocationId: 'eipalloc-0', NetworkInterfaceId: B.eni })).toBe(
      '400 InvalidAllocationID.NotFound',
    );
    expect(await wrong({ NetworkInterfaceId: 'eni-0' })).toBe('400 InvalidNetworkInterfaceID.NotFound');
    expect(await wrong({ InstanceId: 'i-0' })).toBe('400 InvalidInstanceID.NotFound');
    expect(await wrong({ NetworkInterfaceId: B.eni, PrivateIpAddress: A.ip })).toBe(
      '400 InvalidParameterValue',
    );
    expect(await wrong({ NetworkInterfaceId: B.eni, InstanceId: B.instance })).toBe(
      '400 InvalidParameterCombination',
    );
    expect(await wrong({ NetworkInterfaceId: B.eni, DryRun: true })).toBe('412 DryRunOperation');
    expect(running.controller.world).toBe(before);
  });
});

it('an instance with two interfaces must be told apart', async () => {
  const [a, b] = twoNodes().interfaces ?? [];
  if (a === undefined || b === undefined) throw new Error('twoNodes has two');
  const one = await startController({ interfaces: [a, { ...b, instance: A.instance }] });
  try {
    const command = new AssociateAddressCommand({ AllocationId: VIP.allocation, InstanceId: A.instance });
    expect(await outcome(one.ec2.send(command))).toBe('400 InvalidInstanceID');
  } finally {
    await one.stop();
  }
});

describe('DisassociateAddress', () => {
  const disassociate = (AssociationId: string | undefined, extra: object = {}) =>
    outcome(running.ec2.send(new DisassociateAddressCommand({ AssociationId, ...extra })));

  it('frees the address', async () => {
    expect(await disassociate((await held())?.AssociationId)).toBe('ok');
    expect((await held())?.AssociationId).toBeUndefined();
  });

  it('with the id of a dead association changes nothing: a late release cannot hit the new holder', async () => {
    const dead = (await held())?.AssociationId;
    await associate({ NetworkInterfaceId: B.eni });
    const before = running.controller.world;
    expect(await disassociate(dead)).toBe('400 InvalidAssociationID.NotFound');
    expect(await disassociate(undefined)).toBe('400 MissingParameter');
    expect(await disassociate((await held())?.AssociationId, { DryRun: true })).toBe('412 DryRunOperation');
    expect(running.controller.world).toBe(before);
  });
});
