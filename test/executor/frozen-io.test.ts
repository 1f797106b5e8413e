/** R1: what must be shut before an isolated holder's frozen writes are let go. */
import { describe, expect, it } from 'vitest';
import { instant } from '../../src/core/index.ts';
import { FrozenIoRelease } from '../../src/executor/frozen-io.ts';
import { DrbdResource, type DrbdState, type ProbeResult, type Resource } from '../../src/resources/index.ts';
import type { PlanResource } from '../../src/takeover/index.ts';

const FROZEN: DrbdState = {
  kind: 'present',
  role: 'Primary',
  suspended: 'fencing',
  mayPromote: null,
  volumes: [],
  connections: [],
};
const GONE: ProbeResult = { probe: 'not-held', detail: 'gone' };
const HELD: ProbeResult = { probe: 'held', detail: 'there' };

class Bench {
  readonly abandoned: string[] = [];
  readonly local = new Map<string, Resource>();
  readonly graph: PlanResource[] = [];
  state: DrbdState | null = FROZEN;

  constructor() {
    const drbd = Object.create(DrbdResource.prototype) as DrbdResource;
    Object.assign(drbd, {
      name: 'block',
      abandonIo: async () => this.abandoned.push('block'),
      devices: async () => ['/dev/drbd0', '/dev/drbd1'],
    });
    this.local.set('block', drbd);
    this.graph.push({ name: 'block', scope: 'local', isDoor: false, after: [] } as unknown as PlanResource);
    this.add('data', 'mount', HELD, ['block']);
  }

  add(name: string, kind: Resource['kind'], probe: ProbeResult, after: readonly string[] = []): this {
    this.local.set(name, { name, kind, scope: 'local', probe: async () => probe } as unknown as Resource);
    this.graph.push({
      name,
      scope: 'local',
      isDoor: kind === 'port-block',
      after,
    } as unknown as PlanResource);
    return this;
  }

  addCloud(name: string, ...after: string[]): this {
    this.graph.push({ name, scope: 'cloud', isDoor: false, after } as unknown as PlanResource);
    return this;
  }

  get release(): FrozenIoRelease {
    const { graph, local } = this;
    return new FrozenIoRelease({ graph, local, lastSeen: () => this.state, log: () => undefined });
  }

  abandon(): Promise<string> {
    const io = this.release.of('data');
    expect(io.isFrozen()).toBe(this.state === FROZEN);
    return io.abandon({ deadline: instant(1000), signal: new AbortController().signal });
  }
}

it('only what stands on a DRBD resource is on its devices', async () => {
  const { release } = new Bench().add('copy', 'mount', HELD).add('inner', 'mount', HELD, ['data']);
  const context = { deadline: instant(1000), signal: new AbortController().signal };
  expect(await release.devicesBelow('inner', context)).toEqual(['/dev/drbd0', '/dev/drbd1']);
  expect(await release.devicesBelow('copy', context)).toEqual([]);
});

it('nothing is frozen where the state is not known', async () => {
  const bench = new Bench().add('vip', 'virtual-ip', GONE);
  bench.state = null;
  await bench.abandon();
  expect(bench.abandoned).toEqual([]);
});

describe('let go', () => {
  it.each([
    ['without a cloud: the address is gone', new Bench().add('vip', 'virtual-ip', GONE)],
    [
      'what the cloud sends comes through a port, which is down',
      new Bench().add('port2', 'port', GONE).addCloud('eip', 'port2'),
    ],
    ['a door is shut in front of all', new Bench().add('door', 'port-block', GONE).addCloud('eip')],
  ])('%s', async (_, bench) => {
    await bench.abandon();
    expect(bench.abandoned).toEqual(['block']);
  });
});

describe('frozen on', () => {
  it.each([
    ['nothing shuts clients out', new Bench(), /nothing here shuts clients out/],
    ['the address is still there', new Bench().add('vip', 'virtual-ip', HELD), /vip is not shut yet/],
    [
      'it is not known',
      new Bench().add('vip', 'virtual-ip', { probe: 'unknown', detail: '' }),
      /vip is not shut/,
    ],
    [
      'something of it is left',
      new Bench().add('vip', 'virtual-ip', { ...GONE, isPartial: true }),
      /vip is not shut/,
    ],
    [
      'the cloud sends clients to the primary address',
      new Bench().add('vip', 'virtual-ip', GONE).addCloud('eip'),
      /clients come in by eip too/,
    ],
    [
      'one of two goes past the port',
      new Bench().add('port2', 'port', GONE).addCloud('eip', 'port2').addCloud('group'),
      /clients come in by group too/,
    ],
  ])('%s', async (_, bench, why) => {
    await expect(bench.abandon()).rejects.toThrow(why);
    expect(bench.abandoned).toEqual([]);
  });
});
