/**
 * Every kind of resource in the cloud, and the fencer, with the real SDK clients against the local controller as a
 * process of its own, while EC2 and ELB throttle, lose replies, execute late and show the past. Two nodes take from
 * each other; whoever was last to hold repairs (O2), and the end is always right.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultsInput, World } from '../../cluster/local/controller/index.ts';
import { systemClock } from '../../src/clock.ts';
import { instant, nodeId } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import {
  Ec2Fencer,
  ElasticIpResource,
  gatedEc2,
  gatedElb,
  loadEc2Client,
  loadElbClient,
  PrivateIpResource,
  type Resource,
  TargetGroupResource,
  VpcRouteResource,
} from '../../src/resources/index.ts';
import { A, B, HOST, OVERLAY, twoNodes, VIP } from '../controller/support.ts';

const TABLES = ['rtb-00000001', 'rtb-00000002', 'rtb-00000003'];
const ARN = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup';
const GROUPS = { move: `${ARN}/nas/73e2d6bc24d8a067`, 'role-checks': `${ARN}/nas/73e2d6bc24d8a068` };
const PORT = 2049;
const LATE_MS = 2300;

const CHANGES = [
  'AssociateAddress',
  'ReplaceRoute',
  'CreateRoute',
  'AssignPrivateIpAddresses',
  'DeregisterTargets',
  'RegisterTargets',
  'StopInstances',
];
/** All at once: the first call of each change is late, the rest is drawn. */
const TROUBLE: FaultsInput = {
  rules: [
    ...CHANGES.map((action) => ({ kind: 'late' as const, ms: LATE_MS, next: 1, actions: [action] })),
    { kind: 'throttled', probability: 0.5 },
    { kind: 'lost-reply', probability: 0.2 },
  ],
  visibility: { delayMs: 300, jitterMs: 300, readYourWrites: false },
};

let directory: string;
let controller: ChildProcess;
let endpoint: string;
const closing: { close(): void }[] = [];

beforeAll(async () => {
  process.env.AWS_ACCESS_KEY_ID = 'AKIDEXAMPLE';
  process.env.AWS_SECRET_ACCESS_KEY = 'secret';
  directory = mkdtempSync(join(tmpdir(), 'cloud-'));
  await build({
    entryPoints: ['cluster/local/controller/main.ts'],
    outfile: join(directory, 'controller.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    mainFields: ['module', 'main'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
});
afterAll(() => rmSync(directory, { recursive: true }));

beforeEach(async () => {
  const file = join(directory, 'state.json');
  const healthCheck = { intervalMs: 100, timeoutMs: 100 };
  const state = twoNodes({
    // The third has no such route yet.
    routeTables: TABLES.map((id, n) => ({
      id,
      routes: n === 2 ? [] : [{ destination: OVERLAY, interface: B.eni }],
    })),
    targetGroups: Object.values(GROUPS).map((arn) => ({
      arn,
      port: PORT,
      healthCheck,
      targets: [{ id: B.instance }],
    })),
  });
  writeFileSync(file, JSON.stringify(state));
  controller = spawn(
    process.execPath,
    [join(directory, 'controller.mjs'), '--state', file, '--listen', `${HOST}:0`, '--seed', '7'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (controller.stdout === null) throw new Error('it was asked for');
  const [line] = await once(controller.stdout, 'data');
  endpoint = (JSON.parse(String(line)) as { endpoint: string }).endpoint;
});
afterEach(async () => {
  for (const client of closing.splice(0)) client.close();
  controller.kill();
  await once(controller, 'exit');
});

async function local<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(`${endpoint}/_local/${path}`, init);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Answer;
}

/** The world as plain JSON: its maps are objects. */
type Plain<Item> = {
  [Key in keyof Item]: Item[Key] extends ReadonlyMap<string, infer Value> ? Record<string, Value> : Item[Key];
};
const truth = () => local<Plain<World>>('GET', 'state');

/** One node's side: its clients, and a lease that can be taken away. */
interface Side {
  mayMutate: boolean;
  readonly make: (kind: Kind) => Resource;
}
type Kind = 'elastic-ip' | 'vpc-route' | 'private-ip' | 'move' | 'role-checks';

async function side(own: typeof A | typeof B, other: typeof A | typeof B): Promise<Side> {
  const [{ Ec2Client }, { ElbClient }] = [await loadEc2Client(), await loadElbClient()];
  const options = {
    region: 'us-east-1',
    endpoint,
    localAddress: own.ip,
    mayMutate: () => one.mayMutate,
  };
  const [ec2, elb] = [new Ec2Client(options), new ElbClient(options)];
  closing.push(ec2, elb);
  const one: Side = {
    mayMutate: true,
    make: (kind) => {
      const common = {
        name: kind,
        clock: systemClock,
        random: Math.random,
        endpoint,
        ownInterface: own.eni,
        memberInterfaces: new Set([other.eni]),
        api: gatedEc2(ec2, () => one.mayMutate),
      };
      switch (kind) {
        case 'elastic-ip':
          return new ElasticIpResource({ ...common, allocation: VIP.allocation });
        case 'vpc-route':
          return new VpcRouteResource({ ...common, tables: TABLES, destination: OVERLAY });
        case 'private-ip':
          return new PrivateIpResource({ ...common, address: A.floating });
        case 'move':
        case 'role-checks':
          return new TargetGroupResource({
            ...common,
            group: GROUPS[kind],
            mode: kind,
            ownTarget: { id: own.instance, port: null },
            otherTargets: [{ id: other.instance, port: null }],
            elb: gatedElb(elb, () => one.mayMutate),
          });
      }
    },
  };
  return one;
}

const within = (ms: number) => ({
  deadline: instant(systemClock.now() + ms),
  signal: new AbortController().signal,
  previousReleased: false,
});

/** Where the thing really is: the interface or the instances, one word for each place that must agree. */
async function holders(kind: Kind): Promise<string[]> {
  const world = await truth();
  switch (kind) {
    case 'elastic-ip':
      return [world.addresses[VIP.allocation]?.association?.interfaceId ?? 'nobody'];
    case 'vpc-route':
      return TABLES.map((table) => {
        const route = world.routeTables[table]?.routes.find(({ destination }) => destination === OVERLAY);
        return route?.target.id ?? 'nobody';
      });
    case 'private-ip':
      return Object.values(world.interfaces)
        .filter(({ privateIps }) => privateIps.includes(A.floating))
        .map(({ id }) => id);
    case 'move':
    case 'role-checks':
      return (world.targetGroups[GROUPS[kind]]?.targets ?? [])
        .filter(({ state }) => state !== 'draining')
        .map(({ id }) => id)
        .sort();
  }
}

function expected(kind: Kind, holder: typeof A | typeof B): string[] {
  switch (kind) {
    case 'vpc-route':
      return TABLES.map(() => holder.eni);
    case 'move':
      return [holder.instance];
    case 'role-checks':
      return [A.instance, B.instance];
    case 'elastic-ip':
    case 'private-ip':
      return [holder.eni];
  }
}

/** What the reconcile loop does: probe, and acquire what is not held; what fails passes (H4). */
async function reconcile(resource: Resource): Promise<void> {
  const { probe } = await resource.probe(within(1000));
  if (probe !== 'not-held') return;
  await resource.acquire(within(3000)).catch((error: unknown) => {
    if (!(error instanceof QuorateError)) throw error;
  });
}

/** Reconciles until `isDone` says so. */
async function reconcileUntil(resource: Resource, isDone: () => Promise<boolean>): Promise<void> {
  const end = systemClock.now() + 20_000;
  while (!(await isDone())) {
    if (systemClock.now() > end) throw new Error('it does not come right');
    await reconcile(resource);
    await systemClock.sleep(100);
  }
}

/** No call waits to be executed any more. */
async function isQuiet(): Promise<boolean> {
  const calls = await local<readonly { executedMs: number | null; result: string | null }[]>('GET', 'calls');
  return calls.every(({ result }) => result !== null);
}

const KINDS = ['elastic-ip', 'vpc-route', 'private-ip', 'move', 'role-checks'] as const satisfies Kind[];

it.each(KINDS)('%s moves there and back without trouble', async (kind) => {
  const [a, b] = [(await side(A, B)).make(kind), (await side(B, A)).make(kind)];
  for (const [resource, loser, holder] of [
    [a, b, A],
    [b, a, B],
    [a, b, A],
  ] as const) {
    await loser.release({ ...within(1000), mode: 'abrupt' });
    await resource.acquire(within(5000));
    expect(await holders(kind)).toEqual(expected(kind, holder));
    expect((await resource.probe(within(1000))).probe).toBe('held');
  }
  // With role checks every node is registered all the time.
  expect((await b.probe(within(1000))).probe).toBe(kind === 'role-checks' ? 'held' : 'not-held');
});

it('in every trouble at once, late calls of the old holder included, everything ends with the new holder', async () => {
  const [sideA, sideB] = [await side(A, B), await side(B, A)];
  await local('PUT', 'faults', TROUBLE);
  const passes = (error: unknown): void => {
    if (!(error instanceof QuorateError)) throw error;
  };
  // A's first changes wait in the cloud; A has lost its lease by the time that they are executed.
  await Promise.all(KINDS.map((kind) => sideA.make(kind).acquire(within(500)).catch(passes)));
  sideA.mayMutate = false;
  const moving = KINDS.map(async (kind) => {
    const resource = sideB.make(kind);
    await resource.acquire(within(8000)).catch(passes);
    // A's late call may strike after B has taken it: B repairs.
    await reconcileUntil(resource, isQuiet);
    await reconcileUntil(resource, async () => {
      const { probe } = await resource.probe(within(1000));
      return probe === 'held' && (await holders(kind)).join() === expected(kind, B).join();
    });
    // It is right to stay: readings of the past do not make anybody move it.
    for (let count = 0; count < 10; count++) await reconcile(resource);
    expect([kind, await holders(kind)]).toEqual([kind, expected(kind, B)]);
  });
  await Promise.all(moving);
  const calls = await local<readonly { faults: readonly string[] }[]>('GET', 'calls');
  expect(new Set(calls.flatMap(({ faults }) => faults))).toEqual(
    new Set(['late', 'throttled', 'lost-reply']),
  );
}, 60_000);

describe('fencing', () => {
  async function fencer(mayFence = true): Promise<Ec2Fencer> {
    const { Ec2Client } = await loadEc2Client();
    const client = new Ec2Client({
      region: 'us-east-1',
      endpoint,
      localAddress: A.ip,
      mayMutate: () => mayFence,
    });
    closing.push(client);
    return new Ec2Fencer({
      instances: new Map([[nodeId('b'), B.instance]]),
      isolationGroup: 'sg-isolated',
      interfaces: new Map([[nodeId('b'), [B.eni]]]),
      api: gatedEc2(client, () => mayFence),
      clock: systemClock,
      random: Math.random,
      endpoint,
    });
  }

  it.each([
    ['without trouble', {}],
    ['in every trouble at once', TROUBLE],
  ])('%s: confirmed means that the machine is off', async (_, faults) => {
    await local('PUT', 'faults', faults);
    const result = await (await fencer()).fence(nodeId('b'), within(20_000));
    const { powered, state } = await local<{ powered: boolean; state: string }>(
      'GET',
      `instances/${B.instance}/power`,
    );
    expect({ kind: result.kind, powered, state }).toEqual({
      kind: 'confirmed',
      powered: false,
      state: 'stopped',
    });
  });

  it('R5: a machine that was started a moment ago is not taken for stopped because readings show the past', async () => {
    const power = (action: string) => local('POST', `instances/${B.instance}/power`, { action });
    await power('stop');
    await systemClock.sleep(1500);
    await power('start');
    await local('PUT', 'faults', {
      visibility: { delayMs: 1000, readYourWrites: false },
      rules: [{ kind: 'error', actions: ['StopInstances'] }],
    } satisfies FaultsInput);
    // Not longer than readings show what was there before the start.
    const result = await (await fencer()).fence(nodeId('b'), within(500));
    expect(result.kind).toBe('unconfirmed');
    expect(await local('GET', `instances/${B.instance}/power`)).toMatchObject({ powered: true });
  });

  it('who does not lead does not fence', async () => {
    const result = await (await fencer(false)).fence(nodeId('b'), within(5000));
    expect(result).toMatchObject({ kind: 'unconfirmed', isolated: false });
    expect(await local('GET', `instances/${B.instance}/power`)).toMatchObject({ state: 'running' });
  });

  it('isolates', async () => {
    await local('PUT', 'faults', { rules: [{ kind: 'error', actions: ['StopInstances'] }] });
    const result = await (await fencer()).fence(nodeId('b'), within(2000));
    expect(result).toMatchObject({ kind: 'unconfirmed', isolated: true });
    expect((await truth()).interfaces[B.eni]?.groups).toEqual(['sg-isolated']);
  });
});
