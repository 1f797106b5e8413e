/** cluster/aws/template.yaml, as far as it can be checked without an account. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  isMap,
  type Json,
  type JsonMap,
  parseTemplate,
  type ResourceDeclaration,
  references,
  walk,
} from './support/cloudformation.ts';
import { ROOT, text } from './support/files.ts';

const FILE = 'cluster/aws/template.yaml';
const source = text(FILE);
const template = parseTemplate(source);
const { Parameters, Resources } = template;

const ofType = (type: string): [string, ResourceDeclaration][] =>
  Object.entries(Resources).filter(([, resource]) => resource.Type === type);
const group = (name: string): Json => ({ 'Fn::GetAtt': [name, 'GroupId'] });
const VPC = { 'Fn::GetAtt': ['Vpc', 'CidrBlock'] };
const CLIENTS = { Ref: 'ClientCidr' };

describe('the template holds together', () => {
  const PSEUDO = ['AWS::Region', 'AWS::Partition', 'AWS::AccountId', 'AWS::URLSuffix'];
  const known = [...Object.keys(Parameters), ...Object.keys(Resources), ...PSEUDO];
  const { Rules, Conditions, Outputs } = template;
  const used = [...references({ Rules, Conditions, Resources, Outputs } as unknown as Json)];

  it('every reference has its target', () => {
    const names = used.map((name) => name.split('.')[0] ?? '');
    expect(names.length).toBeGreaterThan(150);
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('every parameter is used', () => {
    expect(Object.keys(Parameters).filter((name) => !used.includes(name))).toEqual([]);
  });

  it('every condition that is named exists, and is used', () => {
    const named = [...walk(template as unknown as Json)].flatMap((value) => {
      if (!isMap(value)) return [];
      const branch = value['Fn::If'];
      const condition = typeof value.Condition === 'string' ? [value.Condition] : [];
      return Array.isArray(branch) ? [String(branch[0]), ...condition] : condition;
    });
    expect([...new Set(named)].sort()).toEqual(Object.keys(Conditions).sort());
  });

  it('everything that must exist before exists', () => {
    const named = Object.values(Resources).flatMap(({ DependsOn = [] }) => DependsOn);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => Resources[name] === undefined)).toEqual([]);
  });

  it.each(Object.entries(Parameters))('the parameter %s is described and bounded', (_, parameter) => {
    expect(parameter.Description).toMatch(/\.$/);
    const isChosenFromAList = /^AWS::EC2::(AvailabilityZone::Name|KeyPair::KeyName)$/.test(
      String(parameter.Type),
    );
    const bounds = ['AllowedPattern', 'AllowedValues', 'MaxValue'].filter((key) => key in parameter);
    expect(isChosenFromAList || bounds.length > 0).toBe(true);
    if (typeof parameter.AllowedPattern !== 'string') return;
    expect(parameter.AllowedPattern).toMatch(/^\^.*\$$/);
    if (parameter.Default !== undefined)
      expect(String(parameter.Default)).toMatch(new RegExp(parameter.AllowedPattern));
  });

  // Parameters become lines of a script and of YAML.
  it.each(['a b', "a'b", 'a"b', 'a$b', 'a`b', 'a\\b', 'a\nb'])('no parameter may contain %j', (value) => {
    for (const { AllowedPattern: pattern } of Object.values(Parameters))
      if (typeof pattern === 'string')
        for (const start of ['', 'https://', '10.0', '/', '0'.repeat(64)])
          expect(`${start}${value}`).not.toMatch(new RegExp(pattern));
  });

  it('the three members are in three zones', () => {
    const zones = ['ReplicationSubnetA', 'ReplicationSubnetB', 'ReplicationSubnetW'].map((name) =>
      JSON.stringify(Resources[name]?.Properties.AvailabilityZone),
    );
    expect(new Set(zones).size).toBe(3);
    expect(JSON.stringify(Rules)).toContain('Fn::Equals');
  });
});

describe('security groups', () => {
  interface Rule {
    readonly on: string;
    readonly rule: JsonMap;
  }
  const ingress: readonly Rule[] = [
    ...ofType('AWS::EC2::SecurityGroup').flatMap(([on, { Properties }]) =>
      ((Properties.SecurityGroupIngress ?? []) as readonly JsonMap[]).map((rule) => ({ on, rule })),
    ),
    ...ofType('AWS::EC2::SecurityGroupIngress').map(([, { Properties: rule }]) => ({
      on: String((rule.GroupId as { 'Fn::GetAtt': string[] })['Fn::GetAtt'][0]),
      rule,
    })),
  ];
  const opening = (port: number): readonly Rule[] =>
    ingress.filter(
      ({ rule }) =>
        rule.IpProtocol === '-1' ||
        (rule.IpProtocol !== 'icmp' && Number(rule.FromPort) <= port && port <= Number(rule.ToPort)),
    );
  const sourceOf = ({ rule }: Rule): Json => rule.SourceSecurityGroupId ?? rule.CidrIp ?? 'anybody';

  it('say who may come in at all: nobody from everywhere', () => {
    expect(ingress.length).toBeGreaterThan(10);
    for (const rule of ingress)
      expect(JSON.stringify(sourceOf(rule))).not.toMatch(/0\.0\.0\.0|::\/0|anybody/);
  });

  it('7400, the agents: only the members', () => {
    expect(opening(7400).map((rule) => [rule.on, sourceOf(rule)])).toEqual([
      ['MemberGroup', group('MemberGroup')],
    ]);
  });

  it('7401, the admin port: nobody', () => {
    expect(opening(7401)).toEqual([]);
  });

  it('7402, role checks: only the VPC', () => {
    expect(opening(7402).map(sourceOf)).toEqual([VPC, VPC]);
  });

  it('7789, DRBD: only the data nodes', () => {
    expect(opening(7789).map((rule) => [rule.on, sourceOf(rule)])).toEqual([
      ['ReplicationGroup', group('ReplicationGroup')],
    ]);
    const groupsOfWitness = JSON.stringify(Resources.ReplicationInterfaceW?.Properties.GroupSet);
    expect(groupsOfWitness).not.toContain('ReplicationGroup');
  });

  it('22: only the connect endpoint', () => {
    expect(opening(22).map(sourceOf)).toEqual([group('ConnectGroup')]);
  });

  it.each([2049, 3260, 445])('%i, a service: only clients, on the second port', (port) => {
    const onNodes = opening(port).filter(({ on }) => on !== 'BalancerGroup');
    const balancer = port === 2049 ? [group('BalancerGroup')] : [];
    expect(onNodes.map(sourceOf)).toEqual([CLIENTS, ...balancer]);
    expect(new Set(onNodes.map(({ on }) => on))).toEqual(new Set(['ServiceGroup']));
  });

  it('the isolated group lets nothing in, and nothing out', () => {
    expect(ingress.filter(({ on }) => on === 'IsolatedGroup')).toEqual([]);
    // No egress rules at all would mean EC2's own rule, which allows everything.
    expect(Resources.IsolatedGroup?.Properties.SecurityGroupEgress).toEqual([
      { IpProtocol: '-1', CidrIp: '127.0.0.1/32', Description: expect.any(String) },
    ]);
  });
});

describe('hosts', () => {
  const instances = ofType('AWS::EC2::Instance');
  const launch = Resources.HostTemplate?.Properties.LaunchTemplateData as JsonMap;

  it('are two data nodes and a witness, all from one launch template, whose first version they keep', () => {
    expect(instances.map(([name]) => name)).toEqual(['NodeA', 'NodeB', 'NodeW']);
    expect(ofType('AWS::EC2::LaunchTemplate')).toHaveLength(1);
    for (const [, { Properties }] of instances) {
      expect(Properties.LaunchTemplate).toEqual({
        LaunchTemplateId: { Ref: 'HostTemplate' },
        // LatestVersionNumber would replace all three at once when anything changes.
        Version: { 'Fn::GetAtt': ['HostTemplate', 'DefaultVersionNumber'] },
      });
      expect(Properties.MetadataOptions).toBeUndefined();
    }
  });

  it('have version 2 of the metadata service only', () => {
    expect(launch.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
  });

  it('can be stopped by the fencer, and stop when they shut themselves down', () => {
    expect(launch.DisableApiStop).toBe(false);
    expect(launch.InstanceInitiatedShutdownBehavior).toBe('stop');
    expect(launch.DisableApiTermination).toEqual({ Ref: 'TerminationProtection' });
  });

  it('have a role each, and the data nodes two interfaces', () => {
    const roles = instances.map(([, { Properties }]) => JSON.stringify(Properties.IamInstanceProfile));
    expect(new Set(roles).size).toBe(3);
    const counts = instances.map(([, { Properties }]) => (Properties.NetworkInterfaces as Json[]).length);
    expect(counts).toEqual([2, 2, 1]);
  });

  it('have encrypted disks', () => {
    const [root] = launch.BlockDeviceMappings as readonly JsonMap[];
    expect(root?.Ebs).toMatchObject({ Encrypted: true });
    for (const [, { Properties }] of ofType('AWS::EC2::Volume')) expect(Properties.Encrypted).toBe(true);
  });

  it('have a second port without the source check only where an overlay address needs it', () => {
    for (const name of ['ServiceInterfaceA', 'ServiceInterfaceB'])
      expect(Resources[name]?.Properties.SourceDestCheck).toEqual({ 'Fn::If': ['HasOverlay', false, true] });
  });
});

describe('what must not be lost, and what must not be there', () => {
  it('the data survives the stack, and so does the address that clients know', () => {
    expect(ofType('AWS::EC2::Volume')).toHaveLength(2);
    for (const [, volume] of ofType('AWS::EC2::Volume'))
      expect([volume.DeletionPolicy, volume.UpdateReplacePolicy]).toEqual(['Snapshot', 'Snapshot']);
    expect(Resources.ServiceAddress).toMatchObject({
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    });
  });

  it('nobody but Quorate associates the address', () => {
    expect(ofType('AWS::EC2::EIPAssociation')).toEqual([]);
    expect(Resources.ServiceAddress?.Properties).not.toHaveProperty('InstanceId');
  });

  it('the API is reached inside the VPC, by its usual name', () => {
    for (const service of ['ec2', 'elasticloadbalancing']) {
      const endpoint = ofType('AWS::EC2::VPCEndpoint').find(([, { Properties }]) =>
        JSON.stringify(Properties.ServiceName).includes(`.${service}"`),
      );
      expect(endpoint?.[1].Properties).toMatchObject({
        VpcEndpointType: 'Interface',
        PrivateDnsEnabled: true,
      });
    }
  });

  it('there is no secret', () => {
    expect(source).not.toMatch(/PRIVATE KEY|AKIA[0-9A-Z]|aws_secret|password/i);
    expect(Object.keys(Parameters).filter((name) => /secret|password|token|certificate/i.test(name))).toEqual(
      [],
    );
  });
});

const lintVersion = ((): string | null => {
  try {
    return execFileSync('cfn-lint', ['--version'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return null;
  }
})();

// Not a package of Debian: where somebody has it from elsewhere, it has its say.
it.skipIf(lintVersion === null)(`cfn-lint (${lintVersion ?? 'not installed'}) finds nothing`, () => {
  expect(execFileSync('cfn-lint', [FILE], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })).toBe('');
});
