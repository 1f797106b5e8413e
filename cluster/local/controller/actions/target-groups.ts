/** ELBv2: who is registered in a target group, and how healthy it is. The checks themselves are in health-checks.ts. */
import { Ec2Error } from '../ec2-error.ts';
import type { Query } from '../query.ts';
import { interfaceWithIp, type RegisteredTarget, type TargetGroup, type World, withItem } from '../world.ts';
import type { Xml } from '../xml.ts';
import type { Action, Call } from './action.ts';

interface NamedTarget {
  readonly id: string;
  /** Null: not said. */
  readonly port: number | null;
}

const groupNotFound = (): Ec2Error =>
  new Ec2Error('TargetGroupNotFound', 'One or more target groups not found');

function neededGroup(world: World, query: Query): TargetGroup {
  const group = world.targetGroups.get(query.required('TargetGroupArn'));
  if (group === undefined) throw groupNotFound();
  return group;
}

function namedTargets(query: Query): NamedTarget[] {
  return query.members('Targets.member').map((member) => ({
    id: query.required(`${member}.Id`),
    port: query.whole(`${member}.Port`, 1, 65_535),
  }));
}

function needTargets(query: Query): NamedTarget[] {
  const targets = namedTargets(query);
  if (targets.length === 0) throw new Ec2Error('ValidationError', 'At least one target must be specified');
  return targets;
}

function assertMayRegister(world: World, group: TargetGroup, { id }: NamedTarget): void {
  if (group.targetType === 'ip') {
    if (interfaceWithIp(world, id) !== null) return;
    throw new Ec2Error('InvalidTarget', `The IP address '${id}' is not a valid target of this VPC`);
  }
  const instance = world.instances.get(id);
  if (instance === undefined)
    throw new Ec2Error('InvalidTarget', `The following targets are not valid instances: '${id}'`);
  if (instance.state !== 'running') {
    const message = `The following targets are not in a running state and cannot be registered: '${id}'`;
    throw new Ec2Error('InvalidTarget', message);
  }
}

/** All or nothing. Who is registered stays as it is; who drains begins anew. */
function registerTargets({ query, store, newRegistration }: Call): { [name: string]: Xml } {
  const world = store.current;
  const group = neededGroup(world, query);
  let { targets } = group;
  for (const named of needTargets(query)) {
    assertMayRegister(world, group, named);
    const port = named.port ?? group.port;
    const known = targets.find((one) => one.id === named.id && one.port === port);
    if (known !== undefined && known.state !== 'draining') continue;
    const target: RegisteredTarget = {
      id: named.id,
      port,
      state: 'initial',
      reason: 'Elb.RegistrationInProgress',
      description: 'Target registration is in progress',
      registration: newRegistration(),
    };
    targets = [...targets.filter((one) => one !== known), target];
  }
  if (targets !== group.targets)
    store.commit(withItem(world, 'targetGroups', group.arn, { ...group, targets }));
  return {};
}

/** Who is not registered is no error. Without a port, at whatever port it is registered. */
function deregisterTargets({ query, store }: Call): { [name: string]: Xml } {
  const world = store.current;
  const group = neededGroup(world, query);
  const named = needTargets(query);
  const isNamed = (one: RegisteredTarget) =>
    named.some(({ id, port }) => id === one.id && (port === null || port === one.port));
  const targets = group.targets.map((one): RegisteredTarget => {
    if (!isNamed(one) || one.state === 'draining') return one;
    const description = 'Target deregistration is in progress';
    return { ...one, state: 'draining', reason: 'Target.DeregistrationInProgress', description };
  });
  if (targets.some((one, index) => one !== group.targets[index]))
    store.commit(withItem(world, 'targetGroups', group.arn, { ...group, targets }));
  return {};
}

function describeTargetHealth({ query, view }: Call): { [name: string]: Xml } {
  const group = neededGroup(view, query);
  const named = namedTargets(query);
  const chosen =
    named.length === 0
      ? group.targets
      : named.flatMap(({ id, port }) => {
          const found = group.targets.filter((one) => one.id === id && (port === null || port === one.port));
          return found.length > 0 ? found : [notRegistered(id, port ?? group.port)];
        });
  return { TargetHealthDescriptions: chosen.map((one) => healthXml(group, one)) };
}

function notRegistered(id: string, port: number): RegisteredTarget {
  const description = 'Target is not registered to the target group';
  return { id, port, state: 'unused', reason: 'Target.NotRegistered', description, registration: 0 };
}

function healthXml(
  { healthCheck }: TargetGroup,
  { id, port, state, reason, description }: RegisteredTarget,
): Xml {
  return {
    HealthCheckPort: healthCheck.port ?? port,
    TargetHealth: { State: state, Reason: reason || undefined, Description: description || undefined },
    Target: { Id: id, Port: port },
  };
}

function describeTargetGroups({ query, view }: Call): { [name: string]: Xml } {
  const arns = query.list('TargetGroupArns.member');
  const wanted = query.list('Names.member');
  const all = [...view.targetGroups.values()];
  const missing = arns.some((arn) => !view.targetGroups.has(arn));
  if (missing || wanted.some((name) => !all.some((one) => nameOf(one) === name))) throw groupNotFound();
  const chosen = all.filter(
    (one) =>
      (arns.length === 0 || arns.includes(one.arn)) && (wanted.length === 0 || wanted.includes(nameOf(one))),
  );
  return { TargetGroups: chosen.map((one) => groupXml(view, one)) };
}

function nameOf({ arn }: TargetGroup): string {
  return arn.split('/')[1] ?? '';
}

function groupXml(world: World, group: TargetGroup): Xml {
  const { healthCheck } = group;
  const isHttp = healthCheck.protocol === 'HTTP';
  const { least, most } = healthCheck.codes;
  return {
    TargetGroupArn: group.arn,
    TargetGroupName: nameOf(group),
    Protocol: group.protocol,
    Port: group.port,
    VpcId: world.vpcId,
    HealthCheckProtocol: healthCheck.protocol,
    HealthCheckPort: healthCheck.port ?? 'traffic-port',
    HealthCheckEnabled: true,
    // ELB speaks of whole seconds.
    HealthCheckIntervalSeconds: Math.max(1, Math.round(healthCheck.intervalMs / 1000)),
    HealthCheckTimeoutSeconds: Math.max(1, Math.round(healthCheck.timeoutMs / 1000)),
    HealthyThresholdCount: healthCheck.healthyThreshold,
    UnhealthyThresholdCount: healthCheck.unhealthyThreshold,
    HealthCheckPath: isHttp ? healthCheck.path : undefined,
    Matcher: isHttp ? { HttpCode: least === most ? String(least) : `${least}-${most}` } : undefined,
    TargetType: group.targetType,
  };
}

/** `Targets` alone is how the protocol writes an empty list. */
const TARGETS = [
  'Targets',
  'Targets.member.N.Id',
  'Targets.member.N.Port',
  'Targets.member.N.AvailabilityZone',
];

/** ELB has no dry runs. */
export const TARGET_GROUP_ACTIONS = {
  RegisterTargets: { parameters: ['TargetGroupArn', ...TARGETS], run: registerTargets },
  DeregisterTargets: { parameters: ['TargetGroupArn', ...TARGETS], run: deregisterTargets },
  DescribeTargetHealth: {
    parameters: ['TargetGroupArn', ...TARGETS, 'Include.member.N'],
    run: describeTargetHealth,
  },
  DescribeTargetGroups: {
    parameters: ['TargetGroupArns.member.N', 'Names.member.N'],
    run: describeTargetGroups,
  },
} satisfies Record<string, Action>;
