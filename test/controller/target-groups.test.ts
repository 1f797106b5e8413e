/** ELBv2's side of the controller: registration, real health checks, the wire, the faults. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DescribeAddressesCommand, ModifyNetworkInterfaceAttributeCommand } from '@aws-sdk/client-ec2';
import {
  DeregisterTargetsCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ControllerStateInput, checkWorld } from '../../cluster/local/controller/index.ts';
import {
  A,
  B,
  eventually,
  local,
  outcome,
  pause,
  type Running,
  raw,
  Service,
  startController,
  VIP,
} from './support.ts';

const GROUP = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067';
const BY_IP = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas-ip/73e2d6bc24d8a068';
const XMLNS = 'xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"';

/** A node's role check: 200 for the leader, 503 for everybody else. */
class RoleCheck {
  status = 503;
  paths: string[] = [];
  readonly server: Server = createServer((request, response) => {
    this.paths.push(request.url ?? '');
    response.writeHead(this.status).end();
  });
  async listen(ip: string): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, ip, resolve));
    return (this.server.address() as AddressInfo).port;
  }
  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

let running: Running;
let elb: ElasticLoadBalancingV2Client;
let roleCheck: RoleCheck;
let service: Service;
let port: number;

beforeEach(async () => {
  roleCheck = new RoleCheck();
  port = await roleCheck.listen(A.ip);
  service = await Service.listen('b', B.ip);
  await start();
});
afterEach(async () => {
  elb.destroy();
  await running.stop();
  await roleCheck.close();
  await service.close();
});

async function start(change: Partial<ControllerStateInput> = {}): Promise<void> {
  const timing = { intervalMs: 30, timeoutMs: 200 };
  running = await startController({
    targetGroups: [
      {
        arn: GROUP,
        port,
        healthCheck: { ...timing, protocol: 'HTTP', path: '/leader', healthyThreshold: 3 },
        deregistrationDelayMs: 150,
      },
      { arn: BY_IP, port: service.port, targetType: 'ip', healthCheck: timing, deregistrationDelayMs: 150 },
    ],
    ...change,
  });
  elb = client();
}

function client(accessKeyId = 'AKIDEXAMPLE'): ElasticLoadBalancingV2Client {
  return new ElasticLoadBalancingV2Client({
    endpoint: running.controller.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey: 'unused' },
    maxAttempts: 1,
  });
}

const register = (id: string, group = GROUP) =>
  elb.send(new RegisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: id }] }));
const deregister = (id: string, group = GROUP) =>
  elb.send(new DeregisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: id }] }));
const health = async (group = GROUP) =>
  (await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: group }))).TargetHealthDescriptions;
const states = (group = GROUP) =>
  Object.fromEntries(
    (running.controller.world.targetGroups.get(group)?.targets ?? []).map((one) => [
      one.id,
      [one.state, one.reason].filter(Boolean).join(' '),
    ]),
  );

describe('health', () => {
  it('starts initial, and follows what the target really answers', async () => {
    await register(A.instance);
    expect(states()[A.instance]).toMatch(/^initial Elb\./);
    await eventually(() => states()[A.instance] === 'unhealthy Target.ResponseCodeMismatch');
    expect((await health())?.[0]).toEqual({
      HealthCheckPort: String(port),
      Target: { Id: A.instance, Port: port },
      TargetHealth: {
        State: 'unhealthy',
        Reason: 'Target.ResponseCodeMismatch',
        Description: 'Health checks failed with these codes: [503]',
      },
    });
    roleCheck.status = 200;
    await eventually(() => states()[A.instance] === 'healthy');
    expect((await health())?.[0]?.TargetHealth).toEqual({ State: 'healthy' });
    expect(new Set(roleCheck.paths)).toEqual(new Set(['/leader']));
    await roleCheck.close();
    await eventually(() => states()[A.instance] === 'unhealthy Target.FailedHealthChecks');
    expect(checkWorld(running.controller.world)).toEqual([]);
  });

  it('one passed check makes a new target healthy; a sick one needs its threshold', async () => {
    roleCheck.status = 200;
    await register(A.instance);
    await eventually(() => states()[A.instance] === 'healthy');
    expect(roleCheck.paths.length).toBeLessThanOrEqual(2);
    roleCheck.status = 500;
    await eventually(() => states()[A.instance]?.startsWith('unhealthy') === true);
    roleCheck.status = 200;
    const asked = roleCheck.paths.length;
    await eventually(() => states()[A.instance] === 'healthy');
    expect(roleCheck.paths.length - asked).toBeGreaterThanOrEqual(3);
  });

  it('by TCP, at an address', async () => {
    await register(B.ip, BY_IP);
    await eventually(() => states(BY_IP)[B.ip] === 'healthy');
    await service.close();
    await eventually(() => states(BY_IP)[B.ip] === 'unhealthy Target.FailedHealthChecks');
  });

  it('a cut cable and a closed security group let nothing pass, although the address could be reached', async () => {
    await register(B.ip, BY_IP);
    await eventually(() => states(BY_IP)[B.ip] === 'healthy');
    running.controller.setInterfaceLink(B.eni, false);
    await eventually(() => states(BY_IP)[B.ip] === 'unhealthy Target.Timeout');
    running.controller.setInterfaceLink(B.eni, true);
    await eventually(() => states(BY_IP)[B.ip] === 'healthy');
    const isolation = { NetworkInterfaceId: B.eni, Groups: ['sg-isolated'] };
    await running.ec2.send(new ModifyNetworkInterfaceAttributeCommand(isolation));
    await eventually(() => states(BY_IP)[B.ip] === 'unhealthy Target.Timeout');
  });

  it('a target that hangs is timed out', async () => {
    roleCheck.server.removeAllListeners('request');
    await register(A.instance);
    await eventually(() => states()[A.instance] === 'unhealthy Target.Timeout');
  });

  it('an instance that stops is unused, and comes back', async () => {
    roleCheck.status = 200;
    await register(A.instance);
    await eventually(() => states()[A.instance] === 'healthy');
    await running.controller.power(A.instance, 'stop');
    await eventually(() => states()[A.instance] === 'unused Target.InvalidState');
    await running.controller.power(A.instance, 'start');
    await eventually(() => states()[A.instance] === 'healthy');
  });
});

describe('registration', () => {
  it('drains on the way out, then is gone; registered again meanwhile, it begins anew', async () => {
    roleCheck.status = 200;
    await register(A.instance);
    await eventually(() => states()[A.instance] === 'healthy');
    await deregister(A.instance);
    expect(states()).toEqual({ [A.instance]: 'draining Target.DeregistrationInProgress' });
    await register(A.instance);
    await register(B.instance);
    expect(states()[A.instance]).toContain('initial');
    // The first registration's time to drain is over by then.
    await pause(200);
    expect(Object.keys(states())).toEqual([A.instance, B.instance]);
    await eventually(() => states()[A.instance] === 'healthy');
    await deregister(A.instance);
    await eventually(() => states()[A.instance] === undefined);
    expect(Object.keys(states())).toEqual([B.instance]);
    expect(await outcome(deregister(A.instance))).toBe('ok');
  });

  it('a second registration changes nothing', async () => {
    roleCheck.status = 200;
    await register(A.instance);
    await eventually(() => states()[A.instance] === 'healthy');
    const before = running.controller.world.targetGroups;
    await register(A.instance);
    expect(running.controller.world.targetGroups).toBe(before);
  });

  it.each([
    [
      'an unknown group',
      () => register(A.instance, GROUP.replace('73e', '000')),
      '400 TargetGroupNotFoundException',
    ],
    ['an unknown instance', () => register('i-00000000'), '400 InvalidTargetException'],
    ['a foreign address', () => register('127.0.0.9', BY_IP), '400 InvalidTargetException'],
    [
      'no target',
      () => elb.send(new RegisterTargetsCommand({ TargetGroupArn: GROUP, Targets: [] })),
      '400 ValidationError',
    ],
  ])('refuses %s', async (_, act, expected) => {
    expect(await outcome(act())).toBe(expected);
    expect(states()).toEqual({});
  });

  it('all or nothing, and only running instances', async () => {
    await running.controller.power(B.instance, 'stop');
    const both = new RegisterTargetsCommand({
      TargetGroupArn: GROUP,
      Targets: [{ Id: A.instance }, { Id: B.instance }],
    });
    expect(await outcome(elb.send(both))).toBe('400 InvalidTargetException');
    expect(states()).toEqual({});
  });

  it('the same instance at two ports is two targets', async () => {
    const twice = new RegisterTargetsCommand({
      TargetGroupArn: GROUP,
      Targets: [{ Id: A.instance }, { Id: A.instance, Port: 445 }],
    });
    await elb.send(twice);
    expect((await health())?.map(({ Target }) => Target?.Port)).toEqual([port, 445]);
    const one = { TargetGroupArn: GROUP, Targets: [{ Id: A.instance, Port: 445 }] };
    await elb.send(new DeregisterTargetsCommand(one));
    expect((await health())?.map(({ TargetHealth }) => TargetHealth?.State === 'draining')).toEqual([
      false,
      true,
    ]);
  });

  it('asked for one that is not registered, it says so', async () => {
    const command = new DescribeTargetHealthCommand({ TargetGroupArn: GROUP, Targets: [{ Id: B.instance }] });
    expect((await elb.send(command)).TargetHealthDescriptions?.[0]?.TargetHealth).toMatchObject({
      State: 'unused',
      Reason: 'Target.NotRegistered',
    });
  });

  it('DescribeTargetGroups', async () => {
    const all = await elb.send(new DescribeTargetGroupsCommand({ Names: ['nas'] }));
    expect(all.TargetGroups).toMatchObject([
      {
        TargetGroupArn: GROUP,
        TargetType: 'instance',
        HealthCheckPath: '/leader',
        Matcher: { HttpCode: '200' },
      },
    ]);
    const unknown = new DescribeTargetGroupsCommand({ Names: ['none'] });
    expect(await outcome(elb.send(unknown))).toBe('400 TargetGroupNotFoundException');
  });

  it('the state file can register targets from the beginning', async () => {
    await running.stop();
    roleCheck.status = 200;
    const healthCheck = { protocol: 'HTTP', intervalMs: 30, codes: '200-299' } as const;
    await start({ targetGroups: [{ arn: GROUP, port, healthCheck, targets: [{ id: A.instance }] }] });
    await eventually(() => states()[A.instance] === 'healthy');
  });
});

describe('the wire', () => {
  const elbHeaders = (service = 'elasticloadbalancing') => ({
    authorization: `AWS4-HMAC-SHA256 Credential=AKIDRAW/20261123/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=00ff`,
  });
  const send = (form: Record<string, string>, headers = elbHeaders()) =>
    raw(running.controller, { Version: '2015-12-01', ...form }, headers);

  it('answers in its own envelopes', async () => {
    const form = { TargetGroupArn: GROUP, 'Targets.member.1.Id': A.instance };
    const done = await send({ Action: 'RegisterTargets', ...form });
    expect([done.status, done.body]).toEqual([
      200,
      `<RegisterTargetsResponse ${XMLNS}><RegisterTargetsResult/><ResponseMetadata><RequestId>${done.requestId}</RequestId></ResponseMetadata></RegisterTargetsResponse>`,
    ]);
    const seen = await send({ Action: 'DescribeTargetHealth', TargetGroupArn: GROUP });
    expect(seen.body).toContain('<TargetHealthDescriptions><member><HealthCheckPort>');
    const refused = await send({ Action: 'RegisterTargets', ...form, 'Targets.member.1.Id': 'i-00000000' });
    expect([refused.status, refused.body]).toEqual([
      400,
      `<ErrorResponse ${XMLNS}><Error><Type>Sender</Type><Code>InvalidTarget</Code><Message>The following targets are not valid instances: &apos;i-00000000&apos;</Message></Error><RequestId>${refused.requestId}</RequestId></ErrorResponse>`,
    ]);
  });

  it("takes a signature for its own service only, and EC2 not one for ELB's", async () => {
    const form = { Action: 'DescribeTargetHealth', TargetGroupArn: GROUP };
    expect((await send(form, elbHeaders('ec2'))).body).toContain('InvalidClientTokenId');
    const ec2 = await send({ Action: 'DescribeAddresses', Version: '2016-11-15' }, elbHeaders());
    expect([ec2.status, /<Code>(.*)<\/Code>/.exec(ec2.body)?.[1]]).toEqual([401, 'AuthFailure']);
    expect((await send({ Action: 'DescribeAddresses' })).body).toContain('InvalidAction');
    expect((await send({ ...form, Colour: 'red' })).body).toContain('UnknownParameter');
  });

  it('permissions by key', async () => {
    elb.destroy();
    await running.stop();
    await start({ accessKeys: { AKIDREADER: { allow: ['Describe*'] } } });
    const reader = client('AKIDREADER');
    const look = new DescribeTargetHealthCommand({ TargetGroupArn: GROUP });
    expect(await outcome(reader.send(look))).toBe('ok');
    const change = new RegisterTargetsCommand({ TargetGroupArn: GROUP, Targets: [{ Id: A.instance }] });
    expect(await outcome(reader.send(change))).toBe('403 AccessDenied');
    expect(await outcome(elb.send(look))).toBe('403 InvalidClientTokenId');
    reader.destroy();
  });

  it('the history and the local API show it', async () => {
    await register(A.instance);
    expect(running.controller.calls().at(-1)).toMatchObject({
      service: 'elasticloadbalancing',
      action: 'RegisterTargets',
      params: { TargetGroupArn: GROUP, 'Targets.member.1.Id': A.instance },
      result: 'ok',
    });
    expect((await local(running.controller, 'GET', 'state')).json).toMatchObject({
      targetGroups: { [GROUP]: { targets: [{ id: A.instance }] } },
    });
  });
});

describe('faults', () => {
  it('throttled, drawn: each service in its own words', async () => {
    running.controller.setFaults({ rules: [{ kind: 'throttled' }] });
    expect(await outcome(register(A.instance))).toBe('400 Throttling');
    const look = new DescribeAddressesCommand({ AllocationIds: [VIP.allocation] });
    expect(await outcome(running.ec2.send(look))).toBe('503 RequestLimitExceeded');
    expect(running.controller.calls().at(-1)).toMatchObject({ faults: ['throttled'], executedMs: null });
    running.controller.setFaults({ rules: [{ kind: 'throttled', probability: 0.5 }] });
    const seen = new Set<string>();
    for (let count = 0; count < 30; count++) seen.add(await outcome(health()));
    expect(seen).toEqual(new Set(['ok', '400 Throttling']));
  });

  it('a bucket, a lost reply, late execution, delayed visibility', async () => {
    const { controller } = running;
    controller.setFaults({ throttle: { RegisterTargets: { ratePerSecond: 0, burst: 1 } } });
    expect([await outcome(register(A.instance)), await outcome(register(A.instance))]).toEqual([
      'ok',
      '400 Throttling',
    ]);
    controller.setFaults({ rules: [{ kind: 'lost-reply', actions: ['DeregisterTargets'] }] });
    expect(await outcome(deregister(A.instance))).not.toBe('ok');
    expect(states()[A.instance]).toContain('draining');
    await eventually(() => states()[A.instance] === undefined);
    controller.setFaults({ rules: [{ kind: 'late', ms: 200, actions: ['RegisterTargets'] }] });
    const late = register(A.instance);
    await eventually(() => controller.calls().at(-1)?.action === 'RegisterTargets');
    expect(states()).toEqual({});
    await late;
    expect(Object.keys(states())).toEqual([A.instance]);
    controller.setFaults({ visibility: { delayMs: 60_000, readYourWrites: false } });
    expect(await health()).toEqual([]);
  });
});
