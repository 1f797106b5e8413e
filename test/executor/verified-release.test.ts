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

/** A command of the first round that cannot be killed until it has been asked for so often. */
class Stuck {
  isStarted = false;
  asked = 0;
  readonly #until: number;

  constructor(until: number) {
    this.#until = until;
  }

  killInFlight = async (): Promise<boolean> => {
    if (!this.isStarted) return true;
    this.asked += 1;
    return this.asked > this.#until;
  };
}

async function release(resources: readonly Stubborn[], isReadFirst: boolean, stuck = new Stuck(0)) {
  const complaints: Readonly<Record<string, unknown>>[] = [];
  const evidence = await releaseUntilVerified({
    graph: resources.map(({ name }) => ({ name, scope: 'local', after: [] })),
    local: new Map(resources.map((resource) => [resource.name, resource])),
    clock: systemClock,
    children: { killInFlight: stuck.killInFlight, killLeftovers: async () => true },
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

  it('R2: nothing is released while a command of the very round cannot be killed', async () => {
    const stuck = new Stuck(3);
    const mount = new Stubborn('srv', [PARTLY, RELEASED]);
    const { release: real } = mount;
    mount.release = () => {
      stuck.isStarted = true;
      return real.call(mount);
    };
    const { complaints } = await release([mount], false, stuck);
    // Everything reads as released from the first round on.
    expect(complaints.length).toBeGreaterThan(0);
    expect(complaints.every(({ isQuiet }) => isQuiet === false)).toBe(true);
    expect(stuck.asked).toBeGreaterThan(3);
  });

  it('R2: nor while a command of the read-back cannot be killed', async () => {
    const stuck = new Stuck(1);
    const mount = new Stubborn('srv', [PARTLY, RELEASED]);
    const { probe: real } = mount;
    mount.probe = () => {
      stuck.isStarted ||= mount.releases > 0;
      return real.call(mount);
    };
    const { complaints } = await release([mount], false, stuck);
    expect(complaints.map(({ isQuiet }) => isQuiet)).toEqual([false]);
  });

  it('acts at once, beside the end of what was killed, and reads only when that is gone', async () => {
    const journal: string[] = [];
    const port = new Stubborn('port2', [PARTLY, RELEASED]);
    const { release: reallyRelease, probe: reallyProbe } = port;
    let isGone: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      isGone = resolve;
    });
    port.release = () => {
      journal.push('release');
      isGone();
      return reallyRelease.call(port);
    };
    port.probe = () => {
      journal.push('probe');
      return reallyProbe.call(port);
    };
    let kills = 0;
    const killInFlight = async (): Promise<boolean> => {
      kills += 1;
      if (kills > 1) return true;
      journal.push('kill');
      // Ends only when the release has acted: who waits for it first waits for ever.
      await gone;
      await systemClock.sleep(1);
      journal.push('gone');
      return true;
    };
    const stuck = Object.assign(new Stuck(0), { killInFlight });
    await release([port], false, stuck);
    expect(journal).toEqual(['kill', 'release', 'gone', 'probe']);
  });
});
