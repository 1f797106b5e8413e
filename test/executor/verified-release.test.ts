/** R2: what is left of a resource is released again until nothing of it is there. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { releaseUntilVerified } from '../../src/executor/verified-release.ts';
import type { ProbeResult, Resource } from '../../src/resources/index.ts';

const RELEASED: ProbeResult = { probe: 'not-held', detail: 'nothing is left' };
const PARTLY: ProbeResult = { probe: 'not-held', detail: 'half of it is left', isPartial: true };

/** Each release brings the next of the states. */
class Stubborn implements Resource {
  readonly kind = 'port';
  readonly scope = 'local';
  readonly name: string;
  releases = 0;
  readonly #states: readonly ProbeResult[];

  constructor(name: string, states: readonly ProbeResult[]) {
    this.name = name;
    this.#states = states;
  }

  acquire = () => Promise.reject(new Error('not here'));

  async release(): Promise<string> {
    this.releases += 1;
    return `release ${this.releases}`;
  }

  async probe(): Promise<ProbeResult> {
    return this.#states[Math.min(this.releases, this.#states.length - 1)] ?? RELEASED;
  }
}

async function release(resources: readonly Stubborn[], isReadFirst: boolean) {
  const complaints: Readonly<Record<string, unknown>>[] = [];
  const evidence = await releaseUntilVerified({
    graph: resources.map(({ name }) => ({ name, scope: 'local', after: [] })),
    local: new Map(resources.map((resource) => [resource.name, resource])),
    clock: systemClock,
    children: { killInFlight: async () => true, killLeftovers: async () => true },
    limitMs: 1000,
    isReadFirst,
    mayHaveLeftovers: false,
    onUnverified: (fields) => complaints.push(fields),
  });
  return { evidence, complaints };
}

describe('a verified release', () => {
  it.each([true, false])('R2: partly not held is not released (reads first: %s)', async (isReadFirst) => {
    const port = new Stubborn('port2', [PARTLY, PARTLY, PARTLY, RELEASED]);
    const { evidence, complaints } = await release([port], isReadFirst);
    expect(port.releases).toBe(3);
    expect(evidence).toEqual([{ name: 'port2', detail: 'nothing is left', action: 'release 3' }]);
    expect(complaints).toHaveLength(2);
  });

  it('what is not held at all is left alone, beside something that is so only in part', async () => {
    const port = new Stubborn('port2', [PARTLY, RELEASED]);
    const block = new Stubborn('block', [RELEASED]);
    await release([port, block], true);
    expect(port.releases).toBe(1);
    expect(block.releases).toBe(0);
  });
});
