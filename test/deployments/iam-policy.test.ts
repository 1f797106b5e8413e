/**
 * cluster/aws/iam-policy.json allows exactly what the code asks for. The calls are taken from the source: commands of the SDK
 * that are constructed. Anything that would make calls in another way (paginators, waiters, the aggregated client, other
 * services) is refused here, so that it cannot be overlooked.
 */
import { describe, expect, it } from 'vitest';
import { type Json, type JsonMap, parseTemplate, walk } from './support/cloudformation.ts';
import { filesBelow, text } from './support/files.ts';

const SERVICES: Readonly<Record<string, string>> = {
  '@aws-sdk/client-ec2': 'ec2',
  '@aws-sdk/client-elastic-load-balancing-v2': 'elasticloadbalancing',
};

const IMPORT = /import (type )?\{([^}]*)\} from '(@aws-sdk\/[^']+)'/g;

interface Calls {
  readonly actions: readonly string[];
  /** Uses of the SDK that this test cannot follow. */
  readonly unclear: readonly string[];
}

function callsOf(file: string, source: string): Calls {
  const actions: string[] = [];
  const unclear: string[] = [];
  const imports = [...source.matchAll(IMPORT)];
  const mentions = [...source.matchAll(/['"`]@(aws-sdk|smithy)\//g)].length;
  if (mentions !== imports.length) unclear.push(`${file}: an import that is not of the form {…} from '…'`);
  for (const [, onlyTypes, list = '', from = ''] of imports) {
    if (onlyTypes !== undefined) continue;
    const service = SERVICES[from];
    const names = list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '));
    for (const name of names) {
      const command = /^([A-Z]\w*)Command$/.exec(name)?.[1];
      if (service === undefined) unclear.push(`${file}: ${name} of ${from}`);
      else if (command === undefined) {
        if (!/^(EC2|ElasticLoadBalancingV2)Client$/.test(name)) unclear.push(`${file}: ${name}`);
      } else if (source.includes(`new ${name}(`)) actions.push(`${service}:${command}`);
      else unclear.push(`${file}: ${name} is imported and never constructed`);
    }
  }
  return { actions, unclear };
}

const calls = filesBelow('src', '.ts').map((file) => callsOf(file, text(file)));
const called = [...new Set(calls.flatMap(({ actions }) => actions))].sort();

interface Statement {
  readonly Sid: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: JsonMap;
}

const policy = JSON.parse(text('cluster/aws/iam-policy.json')) as { readonly Statement: Statement[] };
const list = (value: string | readonly string[]): readonly string[] => [value].flat();
const allowed = policy.Statement.flatMap(({ Action }) => list(Action)).sort();

const { Resources } = parseTemplate(text('cluster/aws/template.yaml'));

describe('the calls of the code', () => {
  it('can all be seen', () => {
    expect(calls.flatMap(({ unclear }) => unclear)).toEqual([]);
    expect(called).toContain('ec2:AssociateAddress');
  });

  it.each([
    [
      `import { EC2Client, StopInstancesCommand } from '@aws-sdk/client-ec2';\nnew StopInstancesCommand({})`,
      0,
    ],
    [`import type { Instance } from '@aws-sdk/client-ec2';`, 0],
    [`import { StopInstancesCommand } from '@aws-sdk/client-ec2';`, 1],
    [`import { paginateDescribeInstances } from '@aws-sdk/client-ec2';`, 1],
    [`import { EC2 } from '@aws-sdk/client-ec2';`, 1],
    [`import { AssumeRoleCommand } from '@aws-sdk/client-sts';\nnew AssumeRoleCommand({})`, 1],
    [`import * as ec2 from '@aws-sdk/client-ec2';`, 1],
    [`const ec2 = await import('@aws-sdk/client-ec2');`, 1],
  ])('would be seen in %j', (code, unclear) => {
    expect(callsOf('x.ts', code).unclear).toHaveLength(unclear);
  });

  it('are what the policy allows, no more and no less', () => {
    expect(allowed).toEqual(called);
  });

  it('include what the first boot of a host asks', () => {
    const userData = JSON.stringify(Resources.HostTemplate?.Properties);
    const asked = [...userData.matchAll(/\baws ([a-z0-9-]+) ([a-z-]+)/g)].map(
      ([, service, name]) => `${service} ${name}`,
    );
    expect(asked).toEqual(['ec2 describe-instances']);
    expect(allowed).toContain('ec2:DescribeInstances');
    expect(JSON.stringify(Resources.WitnessPolicy)).toContain('ec2:DescribeInstances');
  });
});

describe('the policy', () => {
  const tag = { 'aws:ResourceTag/quorate:cluster': `\${aws:PrincipalTag/quorate:cluster}` };

  it('only allows, and names every action once, without wildcards', () => {
    expect(policy.Statement.map(({ Effect }) => Effect)).toEqual(policy.Statement.map(() => 'Allow'));
    expect(allowed.filter((action) => action.includes('*'))).toEqual([]);
    expect(new Set(allowed).size).toBe(allowed.length);
  });

  it.each(policy.Statement)(
    '$Sid: reads in this region; changes only what carries the cluster tag',
    (statement) => {
      const isReading = list(statement.Action).every((action) => /:Describe/.test(action));
      if (isReading) {
        expect(statement.Condition).toEqual({
          StringEquals: { 'aws:RequestedRegion': `\${AWS::Region}` },
        });
        return;
      }
      expect(list(statement.Action).filter((action) => /:Describe/.test(action))).toEqual([]);
      expect(statement.Condition?.StringEquals).toMatchObject(tag);
      for (const resource of list(statement.Resource))
        expect(resource).toMatch(
          /^arn:\$\{AWS::Partition\}:[a-z0-9]+:\$\{AWS::Region\}:\$\{AWS::AccountId\}:[a-z-]+\/\*$/,
        );
    },
  );

  it('lets a data node stop the other one, and neither itself nor the witness', () => {
    const stop = policy.Statement.find(({ Action }) => list(Action).includes('ec2:StopInstances'));
    expect(stop?.Condition).toEqual({
      StringEquals: { ...tag, 'aws:ResourceTag/quorate:kind': 'data' },
      StringNotEquals: { 'aws:ResourceTag/quorate:node': `\${aws:PrincipalTag/quorate:node}` },
    });
  });
});

describe('the template', () => {
  /** The file has the template's own words for what is substituted. */
  const unwrapped = (value: Json): Json =>
    JSON.parse(JSON.stringify(value), (_, item: Json) => {
      if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
      const { Ref: name, 'Fn::Sub': sub } = item as JsonMap;
      if (typeof name === 'string') return `\${${name}}`;
      return typeof sub === 'string' ? sub : item;
    }) as Json;

  it('has the same policy', () => {
    expect(unwrapped(Resources.TakeoverPolicy?.Properties.PolicyDocument ?? null)).toEqual(policy);
  });

  it('gives it to the data nodes only; the witness may look and no more', () => {
    const policies = (role: string): Json => Resources[role]?.Properties.ManagedPolicyArns ?? null;
    expect(policies('RoleA')).toEqual([{ Ref: 'TakeoverPolicy' }]);
    expect(policies('RoleB')).toEqual([{ Ref: 'TakeoverPolicy' }]);
    expect(policies('RoleW')).toEqual([{ Ref: 'WitnessPolicy' }]);
    const actions = [...walk(Resources.WitnessPolicy?.Properties ?? null)].flatMap((value) =>
      typeof value === 'string' && value.includes(':') && /^[a-z0-9]+:[A-Z]/.test(value) ? [value] : [],
    );
    expect(actions).toEqual(['ec2:DescribeInstances']);
    for (const { Type, Properties } of Object.values(Resources))
      if (Type === 'AWS::IAM::Role') expect(Properties).not.toHaveProperty('Policies');
  });

  const tagsOf = (name: string): Readonly<Record<string, Json>> =>
    Object.fromEntries(
      ((Resources[name]?.Properties.Tags ?? []) as { Key: string; Value: Json }[]).map(({ Key, Value }) => [
        Key,
        Value,
      ]),
    );

  it('tags what the nodes may change with the cluster, and nothing else', () => {
    const tagged = Object.keys(Resources).filter((name) => 'quorate:cluster' in tagsOf(name));
    expect(tagged.sort()).toEqual(
      [
        'IsolatedGroup',
        'NfsTargets',
        'NodeA',
        'NodeB',
        'NodeW',
        'ReplicationRoutes',
        'RoleA',
        'RoleB',
        'RoleW',
        'ServiceAddress',
        'ServiceGroup',
        'ServiceInterfaceA',
        'ServiceInterfaceB',
        'ServiceRoutes',
        'ServiceSubnetA',
        'ServiceSubnetB',
      ].sort(),
    );
    for (const name of tagged) expect(tagsOf(name)['quorate:cluster']).toEqual({ Ref: 'ClusterName' });
  });

  it.each([
    ['A', 'a', 'data'],
    ['B', 'b', 'data'],
    ['W', 'w', 'witness'],
  ])('says of node %s who it is, on the instance and on its role', (letter, node, kind) => {
    expect(tagsOf(`Node${letter}`)).toMatchObject({ 'quorate:node': node, 'quorate:kind': kind });
    expect(tagsOf(`Role${letter}`)).toMatchObject({ 'quorate:node': node });
    expect(Resources[`Profile${letter}`]?.Properties.Roles).toEqual([{ Ref: `Role${letter}` }]);
    expect(Resources[`Node${letter}`]?.Properties.IamInstanceProfile).toEqual({ Ref: `Profile${letter}` });
  });
});
