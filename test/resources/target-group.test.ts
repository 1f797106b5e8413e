/** Target groups, against ELB in memory and on a virtual clock. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Target, type TargetGroupMode, TargetGroupResource } from '../../src/resources/index.ts';
import type { ScriptedCloud } from './support/scripted-cloud.ts';
import { failure, makeSetting } from './support/setting.ts';

const GROUP = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067';
const A = 'i-0000000a';
const B = 'i-0000000b';

let setting: ReturnType<typeof makeSetting>;
let cloud: ScriptedCloud;
beforeEach(() => {
  setting = makeSetting();
  cloud = setting.cloud;
});

function group(
  mode: TargetGroupMode,
  port: number | null = null,
  otherTargets: readonly Target[] = [{ id: B, port }],
): TargetGroupResource {
  return new TargetGroupResource({
    name: 'balancer',
    group: GROUP,
    mode,
    ownTarget: { id: A, port },
    otherTargets,
    elb: cloud,
    ...setting.common,
  });
}

function registered(id: string, state = 'healthy', reason = ''): void {
  cloud.targets.set(id, { id, port: 2049, state, reason });
}
const states = () => Object.fromEntries([...cloud.targets.values()].map(({ id, state }) => [id, state]));
const throttles = (count: number) => Array.from({ length: count }, () => ({ kind: 'throttle' }) as const);

describe('role-checks', () => {
  it('a takeover needs one reading and no change when all are registered', async () => {
    registered(A);
    registered(B, 'unhealthy', 'Target.FailedHealthChecks');
    expect(await group('role-checks').acquire(setting.within(5000))).toBe('all registered, here healthy');
    expect(cloud.methods).toEqual(['describeTargetHealth']);
  });

  it('registers what is missing or drains, and never takes anybody out', async () => {
    registered(B, 'draining', 'Target.DeregistrationInProgress');
    await group('role-checks').acquire(setting.within(5000));
    expect(states()).toEqual({ [A]: 'initial', [B]: 'initial' });
    for (const mode of ['planned', 'abrupt'] as const)
      await group('role-checks').release({ ...setting.within(1000), mode });
    expect(cloud.of('deregisterTargets')).toEqual([]);
  });

  it('O2: after an unknown outcome it looks before it acts again', async () => {
    cloud.fail('registerTargets', { kind: 'lost-reply' });
    await group('role-checks').acquire(setting.within(5000));
    expect(cloud.methods).toEqual(['describeTargetHealth', 'registerTargets', 'describeTargetHealth']);
  });

  it('complaint 1: an interface that does not answer does not stop a takeover, nor hold it up for long', async () => {
    cloud.fail('describeTargetHealth', ...throttles(100));
    const startedAt = setting.clock.now();
    const said = await group('role-checks').acquire(setting.within(60_000));
    expect(said).toContain('the role checks decide');
    expect(setting.clock.now() - startedAt).toBeLessThan(1500);
  });

  it('what ELB refuses is an error', async () => {
    cloud.fail('describeTargetHealth', { kind: 'refuse', code: 'TargetGroupNotFoundException' });
    expect(await failure(group('role-checks').acquire(setting.within(5000)))).toBe('cloud-refused');
    cloud.fail('registerTargets', { kind: 'refuse', code: 'InvalidTargetException' });
    expect(await failure(group('role-checks').acquire(setting.within(5000)))).toBe('cloud-refused');
  });

  it('probe: held as soon as the own target is registered, whatever its health', async () => {
    const one = group('role-checks');
    expect(await one.probe(setting.within(1000))).toEqual({ probe: 'not-held', detail: 'not registered' });
    registered(A, 'unhealthy', 'Target.FailedHealthChecks');
    registered(B);
    expect(await one.probe(setting.within(1000))).toEqual({
      probe: 'held',
      detail: 'registered, unhealthy (Target.FailedHealthChecks)',
    });
    registered(A, 'draining');
    expect((await one.probe(setting.within(1000))).probe).toBe('not-held');
    registered(A, 'unused', 'Target.NotRegistered');
    expect((await one.probe(setting.within(1000))).probe).toBe('not-held');
  });
});

describe('move', () => {
  it('takes the others out, then registers the own, and does not wait for health', async () => {
    registered(B);
    const startedAt = setting.clock.now();
    expect(await group('move').acquire(setting.within(30_000))).toBe(
      'registered, not healthy yet: initial (Elb.RegistrationInProgress)',
    );
    expect(states()).toEqual({ [A]: 'initial', [B]: 'draining' });
    expect(cloud.methods).toEqual(['deregisterTargets', 'registerTargets', 'describeTargetHealth']);
    expect(setting.clock.now() - startedAt).toBeLessThan(100);
  });

  it('says that it is healthy', async () => {
    registered(A);
    expect(await group('move').acquire(setting.within(5000))).toBe('registered, healthy');
  });

  it('O2: lost replies: it reads first, and what was executed is not done again', async () => {
    registered(B);
    cloud.fail('deregisterTargets', { kind: 'lost-reply' });
    cloud.fail('registerTargets', { kind: 'lost-reply' });
    await group('move').acquire(setting.within(5000));
    expect(states()).toEqual({ [A]: 'initial', [B]: 'draining' });
    expect(cloud.of('deregisterTargets')).toHaveLength(1);
    expect(cloud.of('registerTargets')).toHaveLength(1);
  });

  it('O2: lost requests and throttling: the end is right', async () => {
    registered(B);
    cloud.fail('deregisterTargets', { kind: 'throttle' }, { kind: 'lost-request' });
    cloud.fail('registerTargets', { kind: 'lost-request' }, { kind: 'throttle' });
    cloud.fail('describeTargetHealth', { kind: 'throttle' });
    await group('move').acquire(setting.within(5000));
    expect(states()).toEqual({ [A]: 'initial', [B]: 'draining' });
  });

  it('health that cannot be read is said, not failed', async () => {
    cloud.fail('describeTargetHealth', ...throttles(100));
    expect(await group('move').acquire(setting.within(5000))).toContain('does not show it yet');
  });

  it('a refused target is an error', async () => {
    cloud.fail('registerTargets', { kind: 'refuse', code: 'InvalidTargetException' });
    expect(await failure(group('move').acquire(setting.within(5000)))).toBe('cloud-refused');
  });

  it('others that ELB does not know, or not any more, are no obstacle', async () => {
    const others = [B, 'i-0000000c'].map((id) => ({ id, port: null }));
    const refused = { kind: 'refuse', code: 'InvalidTargetException' } as const;
    cloud.fail('deregisterTargets', refused);
    await group('move').acquire(setting.within(5000));
    expect(cloud.of('deregisterTargets')).toHaveLength(1);

    registered(B);
    cloud.fail('deregisterTargets', refused);
    await group('move', null, others).acquire(setting.within(5000));
    expect(cloud.of('deregisterTargets').slice(1)).toEqual([others, [{ id: B, port: null }]]);
    expect(states()).toEqual({ [A]: 'initial', [B]: 'draining' });

    registered(B);
    cloud.fail('deregisterTargets', refused);
    expect(await failure(group('move').acquire(setting.within(5000)))).toBe('cloud-refused');
  });

  it('release leaves it to the next holder', async () => {
    registered(A);
    await group('move').release({ ...setting.within(1000), mode: 'planned' });
    expect(cloud.calls).toEqual([]);
  });

  it('probe: held only if nobody else is registered; those that drain do not count', async () => {
    const one = group('move');
    registered(A, 'initial', 'Elb.InitialHealthChecking');
    registered(B, 'draining');
    expect((await one.probe(setting.within(1000))).probe).toBe('held');
    registered(B);
    expect(await one.probe(setting.within(1000))).toEqual({
      probe: 'not-held',
      detail: `${B}:2049 registered as well`,
    });
    cloud.fail('describeTargetHealth', { kind: 'refuse', code: 'HealthUnavailableException' });
    expect((await one.probe(setting.within(1000))).probe).toBe('unknown');
  });

  it('d.0: a reading that disagrees right after our own success is unknown, later it is not-held', async () => {
    const one = group('move');
    await one.acquire(setting.within(5000));
    registered(B);
    expect((await one.probe(setting.within(1000))).probe).toBe('unknown');
    setting.clock.advance(2500);
    expect((await one.probe(setting.within(1000))).probe).toBe('not-held');
  });

  it('the same machine at another port is another target', async () => {
    registered(A);
    expect((await group('move', 445).probe(setting.within(1000))).probe).toBe('not-held');
    expect((await group('move', 2049).probe(setting.within(1000))).probe).toBe('held');
  });
});
