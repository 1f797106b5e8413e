/** Real agents on one machine: what operators ask of them, and what the cloud does to them. No two ever hold. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ALLOCATION } from '../../cluster/local/plan.ts';
import { Ec2Client } from '../../src/resources/ec2-client.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { complaints, expectError, quorate } from './support/command.ts';
import { audit, status } from './support/contract.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist, { bootstrap: false });
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program.remove();
});
beforeEach(() => stage.watch());
afterEach(() => stage.expectOneHolder());

describe('H7: bootstrap', () => {
  const bootstrap = (node: string, ...inSync: string[]) =>
    stage.cluster.quorate(node, ['bootstrap', '--in-sync', ...inSync]);

  beforeAll(() =>
    stage.cluster.waitFor(
      'the agents answer',
      async () => (await Promise.all(['a', 'b', 'w'].map((id) => stage.cluster.status(id)))).length === 3,
      20_000,
    ),
  );

  test('before it, nobody leads and audit says that there is no log', async () => {
    const { leader, holder, nodes, chain } = await stage.cluster.status('a');
    expect({ leader, holder, nodes, chain }).toEqual({ leader: null, holder: null, nodes: [], chain: null });
  });

  test('refused for a witness', async () => {
    expectError(await bootstrap('a', 'a', 'w'), 'usage', /--in-sync w: not a data node/);
  });

  test('refused for a node that the block layer does not show in sync', async () => {
    const { cluster } = stage;
    await Promise.all([cluster.cut('a', 'b'), cluster.cut('b', 'a')]);
    await cluster.waitFor(
      'DRBD notices',
      async () => (await cluster.drbd('a')).connection !== 'Connected',
      10_000,
    );
    await cluster.waitFor(
      'refused for that reason',
      async () => {
        const result = await bootstrap('a', 'a', 'b');
        expectError(result, 'refused-unsafe', /b: the block layer of a does not show it in sync/);
        return true;
      },
      10_000,
    );
    expect((await cluster.status('a')).nodes).toEqual([]);
    await cluster.healAll();
    await cluster.waitFor('DRBD is back', () => cluster.isReplicating(), 20_000);
  });

  test('once; refused the second time, on every node', async () => {
    await stage.cluster.bootstrap();
    // Other words are refused at once; the same ones, which would write the same bytes, as soon as the log goes on.
    expectError(await bootstrap('a', 'a'), 'already-bootstrapped', /has a log already/);
    await stage.healthy();
    for (const node of ['a', 'b'])
      expectError(await bootstrap(node, 'a', 'b'), 'already-bootstrapped', /has a log already/);
  });
});

describe('what the commands print', () => {
  test('status --json is the contract, on every node', async () => {
    const holder = await stage.healthy();
    for (const node of ['a', 'b', 'w']) {
      const { exit, stdout, stderr } = await stage.cluster.quorate(node, ['status', '--json']);
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
      const document = status.parse(JSON.parse(stdout));
      expect(document).toMatchObject({ observer: node, holder, leader: holder, quorum: true, paused: false });
      expect(document.nodes.map(({ id }) => id)).toEqual(['a', 'b', 'w']);
    }
    const { resources, lease, lastTakeover } = await stage.cluster.status(holder);
    expect(resources.map(({ name, probe }) => `${name} ${probe}`)).toEqual([
      'block held',
      'eip held',
      'store held',
    ]);
    expect(lease.remainingMs).toBeGreaterThan(0);
    expect(lastTakeover?.steps.map(({ name }) => name).sort()).toEqual(['block', 'eip', 'store']);
  });

  test('audit --json is the contract; offline it is the same, on every node', async () => {
    await stage.healthy();
    const running = await stage.audit('a');
    for (const node of ['a', 'b', 'w']) {
      const words = ['audit', '--json', '--verify', '--data-dir', stage.dataDir(node)];
      const { exit, stdout, stderr } = await quorate(program.dist, words);
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
      expect(audit.parse(JSON.parse(stdout)), node).toEqual(running);
    }
    expect(running.chain.ok).toBe(true);
    expect(await stage.audit('b')).toEqual(running);
  });
});

describe('switchover', () => {
  test('--dry-run prints the plan and changes nothing', async () => {
    const holder = await stage.healthy();
    const before = await stage.audit(holder);
    const { exit, stdout } = await stage.cluster.quorate(holder, ['switchover', '--dry-run', '--json']);
    expect(exit).toBe(0);
    const to = stage.other(holder);
    const plan: { steps: { name: string }[] } = JSON.parse(stdout);
    expect(plan).toMatchObject({ dryRun: true, from: holder, to, epoch: null });
    const [given, taken] = [`${holder}: release `, `${to}: acquire `].map((start) =>
      plan.steps.flatMap(({ name }) => (name.startsWith(start) ? [name.slice(start.length)] : [])),
    );
    expect(given?.toSorted()).toEqual(taken?.toSorted());
    expect(taken?.length).toBeGreaterThan(2);
    expect(plan.steps.map(({ name }) => name)).toContain(`${holder}: hand leadership to ${to}`);
    expect(await stage.audit(holder)).toEqual(before);
    expect(await stage.holder()).toBe(holder);
  });

  test('moves everything, and says who asked', async () => {
    const holder = await stage.healthy();
    const { exit, stdout } = await stage.cluster.quorate(holder, ['switchover', '--json']);
    expect(exit).toBe(0);
    const to = stage.other(holder);
    expect(JSON.parse(stdout)).toMatchObject({ from: holder, to });
    expect(await stage.healthy()).toBe(to);
    expect(await stage.cluster.addressHolder()).toBe(to);
    const { operators, tenures, terms } = await stage.audit(to);
    expect(operators.at(-1)?.action).toBe(`switchover to ${to}`);
    expect(tenures.at(-2)).toMatchObject({ node: holder, reason: 'switchover' });
    expect(terms.at(-1)?.leader).toBe(to);
    // TimeoutNow (R3), or the release in its own log, which frees it a random part of H later (R4): whichever is first.
    expect(['transfer', 'released']).toContain(terms.at(-1)?.reason);
  });

  test('asked of a node that does not lead: the leader is named', async () => {
    const holder = await stage.healthy();
    const result = await stage.cluster.quorate(stage.other(holder), ['switchover']);
    expectError(result, 'not-leader', new RegExp(`the leader is ${holder}`));
  });

  test('H1: to a node that is out of sync, refused with the reason', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const peer = stage.other(holder);
    await Promise.all([cluster.cut(holder, peer), cluster.cut(peer, holder)]);
    // The observer's writes make DRBD ask for the fence.
    await cluster.waitFor(
      'the peer is out of the in-sync set',
      async () => (await cluster.status(holder)).nodes.find(({ id }) => id === peer)?.inSync === false,
      20_000,
    );
    const result = await cluster.quorate(holder, ['switchover', '--to', peer]);
    expectError(result, 'refused-unsafe', new RegExp(`${peer} is not in the in-sync set`));
    expect(result.exit).toBe(4);
    const dry = await cluster.quorate(holder, ['switchover', '--to', peer, '--dry-run', '--json']);
    expect(dry.exit).toBe(4);
    expect(complaints(dry.stderr)).toHaveLength(1);
    await cluster.healAll();
    expect(await stage.healthy()).toBe(holder);
  });
});

describe('H3: fence-peer', () => {
  test('of an agent that does not lead: exit code 1', async () => {
    const holder = await stage.healthy();
    const { exit, stderr } = await stage.cluster.quorate(stage.other(holder), ['fence-peer']);
    expect(exit).toBe(1);
    expect(stderr).toMatch(
      /^quorate: fence-peer: the peer is not fenced: .* does not lead.*\[not-leader\]\n$/,
    );
  });

  test('of a holder that is cut off: never 4, and its DRBD stays frozen', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const epoch = await stage.epoch();
    const answersBefore = stage.log(holder, 'drbd').length;
    await cluster.isolate(holder);
    const writes: Promise<boolean>[] = [];
    const next = stage.nextHolder(epoch, [stage.other(holder)]);
    const poll = setInterval(() => writes.push(cluster.canWrite(holder, 50)), 50);
    const { exit, stderr } = await cluster.quorate(holder, ['fence-peer']);
    expect(exit, stderr).toBe(1);
    expect(await next).toBe(stage.other(holder));
    clearInterval(poll);
    expect(writes.length).toBeGreaterThan(5);
    expect(await Promise.all(writes)).not.toContain(true);
    expect(stage.log(holder, 'drbd').slice(answersBefore)).not.toContain('status:4');
    await cluster.healAll();
    await stage.healthy();
  });
});

describe('the cloud', () => {
  interface Call {
    readonly seq: number;
    readonly source: string;
    readonly result: string | null;
    readonly reply: string;
    readonly faults: readonly string[];
    readonly executedMs: number | null;
  }
  const faults = (rules: readonly unknown[], more: Record<string, unknown> = {}) =>
    stage.cluster.controllerCall('PUT', 'faults', { rules, ...more });
  const associations = (after = 0) =>
    stage.cluster.controllerCall('GET', `calls?after=${after}&action=AssociateAddress`) as Promise<Call[]>;
  const lastCall = async (): Promise<number> => (await associations()).at(-1)?.seq ?? 0;
  const actions = ['AssociateAddress'];
  afterEach(() => stage.cluster.controllerCall('DELETE', 'faults'));

  async function switchoverUnder(
    rules: readonly unknown[],
    more: Record<string, unknown> = {},
  ): Promise<Call[]> {
    const holder = await stage.healthy();
    const to = stage.other(holder);
    const seq = await lastCall();
    await faults(rules, more);
    const { exit, stderr } = await stage.cluster.quorate(holder, ['switchover']);
    expect(exit, stderr).toBe(0);
    await stage.cluster.controllerCall('DELETE', 'faults');
    expect(await stage.healthy()).toBe(to);
    expect(await stage.cluster.addressHolder()).toBe(to);
    return associations(seq);
  }

  test('throttled during a switchover: it ends with one holder', async () => {
    const error = { kind: 'error', code: 'RequestLimitExceeded', status: 503, actions, next: 4 };
    const calls = await switchoverUnder([error], { throttle: { '*': { ratePerSecond: 2, burst: 1 } } });
    expect(calls.filter(({ result }) => result === 'RequestLimitExceeded').length).toBeGreaterThanOrEqual(4);
  });

  test('O2: the reply of AssociateAddress is lost: it reads, and holds', async () => {
    const calls = await switchoverUnder([{ kind: 'lost-reply', actions, next: 1 }]);
    expect(calls[0]).toMatchObject({ reply: 'reset', result: 'ok' });
  });

  test('O2, H4: a late AssociateAddress of the old holder steals the address, the new one repairs it', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const to = stage.other(holder);
    const source = cluster.plan(holder).host2;
    const seq = await lastCall();
    await faults([{ kind: 'late', ms: 5_000, sources: [source], actions, next: 2 }]);
    await associateWith(to);
    // Its first try would take the address from nobody; when it has seen that another member has it, it may.
    const hanging = async (): Promise<Call[]> =>
      (await associations(seq)).filter((call) => call.source === source && call.faults.includes('late'));
    await cluster.waitFor(
      'the holder repairs, and its second call hangs in the cloud',
      async () => (await hanging())[1]?.executedMs === null,
      15_000,
    );
    const moved = await cluster.quorate(holder, ['switchover', '--to', to]);
    expect(moved.exit, moved.stderr).toBe(0);
    const stolen = cluster.waitFor(
      'the address is back at the old holder',
      async () => (await cluster.addressHolder()) === holder,
      10_000,
    );
    await cluster.waitFor(
      'the late call is executed',
      async () => (await hanging())[1]?.executedMs != null,
      10_000,
    );
    await stolen;
    await cluster.waitFor('it is repaired', async () => (await cluster.addressHolder()) === to, 10_000);
    expect(await stage.healthy()).toBe(to);
  });

  /** As somebody else with the right to do so. */
  async function associateWith(node: string): Promise<void> {
    process.env.AWS_ACCESS_KEY_ID = 'LOCALTEST';
    process.env.AWS_SECRET_ACCESS_KEY = 'local';
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
    const endpoint = stage.cluster.controllerUrl;
    const client = new Ec2Client({
      region: 'us-east-1',
      endpoint,
      localAddress: null,
      mayMutate: () => true,
    });
    const options = { signal: AbortSignal.timeout(5_000), timeoutMs: 2_000 };
    const interfaceId = stage.cluster.plan(node).interface;
    await client.associateAddress(
      { allocationId: ALLOCATION, interfaceId, allowReassociation: true },
      options,
    );
  }
});

describe('D2: a blank disk', () => {
  test('of a voter: it stops with disk-lost at every start, and comes back with its data', async () => {
    const { cluster } = stage;
    const holder = await stage.healthy();
    const victim = stage.other(holder);
    const aside = join(cluster.directory, victim, 'data.aside');
    await cluster.powerOff(victim);
    renameSync(stage.dataDir(victim), aside);
    await endsAsLost(victim, /was empty, but . has a log in which . votes \(entry 1\)/);
    expect(await stage.cluster.status(holder)).toMatchObject({ holder });
    // A host that boots again starts its unit again, whatever its last exit status was.
    await cluster.powerOff(victim);
    await endsAsLost(victim, /was empty, but .* \(.*disk-mark says so\)/);
    await cluster.powerOff(victim);
    renameSync(stage.dataDir(victim), `${aside}.blank`);

    // Killed where a heartbeat may have left a hard state, and nothing has been found yet.
    const before = stage.log(victim).length;
    await cluster.boot(victim);
    await cluster.waitFor(
      'it runs',
      () => /"event":"(started|fatal)"/.test(stage.log(victim).slice(before)),
      20_000,
    );
    await cluster.powerOff(victim);
    await endsAsLost(victim, /was empty, but . has a log in which . votes/);
    await cluster.powerOff(victim);
    renameSync(stage.dataDir(victim), `${aside}.killed`);

    renameSync(aside, stage.dataDir(victim));
    await cluster.boot(victim);
    await stage.healthy();
  });

  async function endsAsLost(victim: string, words: RegExp): Promise<void> {
    const { cluster } = stage;
    const before = stage.log(victim).length;
    await cluster.boot(victim);
    await cluster.waitFor('the agent ends', () => cluster.node(victim).pid('agent') === null, 20_000);
    expect(await cluster.stopAgent(victim)).toBe(12);
    expect(stage.log(victim).slice(before)).toMatch(words);
  }
});
