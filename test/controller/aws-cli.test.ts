/** The real `aws` command, as Debian packages it: an independent client of the wire protocol (botocore). */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { A, B, OVERLAY, ROUTES, type Running, startController, VIP } from './support.ts';

const AWS = '/usr/bin/aws';
const isInstalled = existsSync(AWS);
let running: Running;

const GROUP = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067';

const aws = (...args: string[]) => command('ec2', ...args);

async function command(...args: string[]): Promise<{ code: number; json: unknown; stderr: string }> {
  const env = {
    PATH: '/usr/bin:/bin',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'unused',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_MAX_ATTEMPTS: '1',
    AWS_PAGER: '',
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  };
  const full = [...args, '--endpoint-url', running.controller.endpoint, '--output', 'json'];
  try {
    const { stdout, stderr } = await promisify(execFile)(AWS, full, { env });
    return { code: 0, json: stdout.trim() === '' ? null : JSON.parse(stdout), stderr };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string }; // what execFile rejects with
    return { code, json: null, stderr };
  }
}

describe.skipIf(!isInstalled)(
  `aws ec2${isInstalled ? '' : ` (skipped: no ${AWS}; apt-get install awscli)`}`,
  () => {
    beforeAll(async () => {
      running = await startController({ targetGroups: [{ arn: GROUP, port: 2049 }] });
    });
    afterAll(() => running.stop());

    it('describe-addresses, with --filters too', async () => {
      const all = await aws('describe-addresses');
      expect(all.json).toMatchObject({ Addresses: [{ PublicIp: VIP.ip, NetworkInterfaceId: A.eni }, {}] });
      const filtered = await aws('describe-addresses', '--filters', 'Name=tag:vip,Values=1');
      expect(filtered.json).toMatchObject({
        Addresses: [{ AllocationId: VIP.allocation, Tags: [{ Key: 'vip', Value: '1' }] }],
      });
      const byId = await aws('describe-addresses', '--allocation-ids', 'eipalloc-0');
      expect(byId).toMatchObject({
        code: 254,
        stderr: expect.stringContaining('InvalidAllocationID.NotFound'),
      });
    });

    it('associate-address and disassociate-address', async () => {
      const move = ['associate-address', '--allocation-id', VIP.allocation, '--network-interface-id', B.eni];
      const refused = await aws(...move, '--no-allow-reassociation');
      expect(refused.stderr).toContain(
        '(Resource.AlreadyAssociated) when calling the AssociateAddress operation',
      );
      const dry = await aws(...move, '--allow-reassociation', '--dry-run');
      expect(dry.stderr).toContain('(DryRunOperation)');
      expect(running.controller.lookup(VIP.ip)?.target?.interfaceId).toBe(A.eni);
      const moved = await aws(...move, '--allow-reassociation');
      expect(moved.json).toEqual({ AssociationId: expect.stringMatching(/^eipassoc-[0-9a-f]{17}$/) });
      expect(running.controller.lookup(VIP.ip)?.target?.interfaceId).toBe(B.eni);
      const { AssociationId } = moved.json as { AssociationId: string };
      expect((await aws('disassociate-address', '--association-id', AssociationId)).code).toBe(0);
      const again = await aws('disassociate-address', '--association-id', AssociationId);
      expect(again.stderr).toContain('InvalidAssociationID.NotFound');
    });

    it('describe-instances, describe-network-interfaces, describe-route-tables, describe-instance-status', async () => {
      const instances = await aws(
        'describe-instances',
        '--filters',
        'Name=instance-state-name,Values=running',
      );
      expect(instances.json).toMatchObject({
        Reservations: [
          { Instances: [{ InstanceId: A.instance }] },
          { Instances: [{ InstanceId: B.instance }] },
        ],
      });
      const enis = await aws('describe-network-interfaces', '--network-interface-ids', A.eni);
      expect(enis.json).toMatchObject({ NetworkInterfaces: [{ Attachment: { InstanceId: A.instance } }] });
      const tables = await aws('describe-route-tables');
      expect(tables.json).toMatchObject({ RouteTables: [{ Routes: [{}, { NetworkInterfaceId: A.eni }] }] });
      const status = await aws('describe-instance-status', '--include-all-instances');
      expect(status.json).toMatchObject({ InstanceStatuses: [{ InstanceState: { Name: 'running' } }, {}] });
    });

    it('replace-route, modify-network-interface-attribute, assign-private-ip-addresses, stop-instances', async () => {
      const place = ['--route-table-id', ROUTES, '--destination-cidr-block', OVERLAY];
      expect((await aws('replace-route', ...place, '--network-interface-id', B.eni)).code).toBe(0);
      const modify = ['modify-network-interface-attribute', '--network-interface-id', A.eni];
      expect((await aws(...modify, '--no-source-dest-check')).code).toBe(0);
      expect((await aws(...modify, '--groups', 'sg-isolated')).code).toBe(0);
      expect(running.controller.world.interfaces.get(A.eni)).toMatchObject({
        sourceDestCheck: false,
        groups: ['sg-isolated'],
      });
      const assign = [
        'assign-private-ip-addresses',
        '--network-interface-id',
        B.eni,
        '--private-ip-addresses',
      ];
      expect((await aws(...assign, A.floating)).stderr).toContain('already assigned');
      expect((await aws(...assign, A.floating, '--allow-reassignment')).code).toBe(0);
      const stopped = await aws('stop-instances', '--instance-ids', A.instance, '--force');
      expect(stopped.json).toMatchObject({ StoppingInstances: [{ CurrentState: { Name: 'stopping' } }] });
    });

    it('elbv2 register-targets, describe-target-health', async () => {
      const group = ['--target-group-arn', GROUP];
      const registered = await command(
        'elbv2',
        'register-targets',
        ...group,
        '--targets',
        `Id=${B.instance}`,
      );
      expect(registered).toMatchObject({ code: 0 });
      const health = await command('elbv2', 'describe-target-health', ...group);
      expect(health.json).toMatchObject({
        TargetHealthDescriptions: [{ Target: { Id: B.instance, Port: 2049 } }],
      });
      const unknown = ['--targets', 'Id=i-00000000'];
      const refused = await command('elbv2', 'register-targets', ...group, ...unknown);
      expect(refused.stderr).toContain('(InvalidTarget) when calling the RegisterTargets operation');
    });
  },
  60_000,
);
