/**
 * H3 on the DRBD stand-in, as a property: crashes, cuts and freezes at random moments under writes; no write that was
 * acknowledged, or read by the next holder, is ever lost, and both disks end equal. `QUORATE_SEED=N` replays a run.
 */
import { afterEach, expect, test } from 'vitest';
import type { DeviceClient } from '../../cluster/local/drbd/index.ts';
import { Arbiter, askArbiter } from './support/arbiter.ts';
import { BLOCKS, blockOf, DrbdPair, type Side } from './support/drbd-pair.ts';
import { until } from './support/until.ts';

const ROUNDS = 8;
const WRITERS = 4;
const SEEDS = process.env.QUORATE_SEED === undefined ? [1, 2] : [Number(process.env.QUORATE_SEED)];
const FAULTS = ['kill holder', 'kill peer', 'cut', 'cut one way', 'freeze holder', 'kill both'] as const;

function randomStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');
const versionIn = (data: Buffer): number => Number(data.toString('utf8', 0, 64).split(' ')[3] ?? 0) || 0;

/** Writes numbered versions to random blocks and remembers what was acknowledged. */
class Writers {
  readonly acknowledged = new Map<number, number>();
  readonly #issued = new Map<number, number>();
  readonly #random: () => number;
  #version = 0;
  acknowledgements = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Until the device is gone. Each writer has its own blocks, so the versions of a block are issued in order. */
  run(device: DeviceClient): Promise<unknown> {
    const write = async (writer: number): Promise<void> => {
      for (;;) {
        const block = Math.floor((this.#random() * (BLOCKS - 8)) / WRITERS) * WRITERS + writer;
        this.#version += 1;
        const version = this.#version;
        this.#issued.set(block, version);
        await device.write(block, blockOf(`block ${block} version ${version} `));
        this.acknowledged.set(block, version);
        this.acknowledgements += 1;
      }
    };
    return Promise.allSettled(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  }

  async verify(device: DeviceClient): Promise<void> {
    for (const [block, issued] of this.#issued) {
      const found = versionIn(await device.read(block));
      const least = this.acknowledged.get(block) ?? 0;
      expect(found, `version of block ${block}`).toBeGreaterThanOrEqual(least);
      expect(found, `version of block ${block}`).toBeLessThanOrEqual(issued);
      // Now somebody has read it.
      this.acknowledged.set(block, found);
    }
  }
}

let pair: DrbdPair;
let arbiter: Arbiter;
afterEach(async () => {
  arbiter.close();
  await pair.stop();
});

async function disturb(fault: (typeof FAULTS)[number], holder: Side): Promise<void> {
  switch (fault) {
    case 'kill holder':
      return pair.kill(holder);
    case 'kill peer':
      return pair.kill(other(holder));
    case 'cut':
      return pair.cut();
    case 'cut one way':
      return pair.links.cut(other(holder), holder);
    case 'freeze holder':
      return pair.signal(holder, 'SIGSTOP');
    case 'kill both':
      await Promise.all([pair.kill('a'), pair.kill('b')]);
  }
}

/** What a release and a grant do: the old holder is off or Secondary before the new one is promoted. */
async function moveTo(next: Side): Promise<DeviceClient> {
  arbiter.holder = next;
  await until(
    `${next} is Primary`,
    async () => {
      const result = await pair.adm(next, 'primary', 'r0');
      if (result.exit !== 0) throw new Error(result.stderr);
      return true;
    },
    15_000,
  );
  return pair.open(next);
}

test.each(SEEDS)(
  'H3: no acknowledged write is lost to crashes, cuts and freezes (seed %i)',
  async (seed) => {
    const random = randomStream(seed);
    pair = await DrbdPair.start();
    arbiter = new Arbiter();
    const { host } = pair.options('a').control;
    await arbiter.listen(host, 7799);
    for (const side of ['a', 'b'] as const) pair.fence(side, askArbiter(side, host, 7799));
    const writers = new Writers(random);
    let holder: Side = 'a';
    let device = await moveTo(holder);
    const faults: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const writing = writers.run(device);
      await new Promise((next) => setTimeout(next, 20 + random() * 150));
      const fault = FAULTS[Math.floor(random() * FAULTS.length)] ?? 'cut';
      faults.push(`${fault} of ${holder}`);
      await disturb(fault, holder);
      // Long or short: the handler may or may not have answered, and the writers gone on alone.
      await new Promise((next) => setTimeout(next, random() * 700));
      arbiter.holder = null;
      pair.signal(holder, 'SIGCONT');
      device.destroy();
      await writing;
      if (random() < 0.5) await pair.kill(holder);
      else await pair.adm(holder, 'secondary', 'r0');
      for (const side of ['a', 'b'] as const)
        if (!pair.isRunning(side) && random() < 0.5) await pair.boot(side);
      const candidates = [...arbiter.inSync];
      holder = candidates[Math.floor(random() * candidates.length)] ?? 'a';
      if (!pair.isRunning(holder)) await pair.boot(holder);
      device = await moveTo(holder);
      await writers.verify(device);
      pair.links.healAll();
      for (const side of ['a', 'b'] as const) if (!pair.isRunning(side)) await pair.boot(side);
      await pair.isInSync().catch((error) => {
        throw new Error(
          `after ${faults.join(', ')}: ${String(error)}\n${pair.log('a')}\n---\n${pair.log('b')}`,
        );
      });
      arbiter.inSync.add(other(holder));
    }
    device.destroy();
    expect((await pair.adm(holder, 'secondary', 'r0')).exit).toBe(0);
    expect(pair.differences(), faults.join(', ')).toEqual([]);
    expect(writers.acknowledgements).toBeGreaterThan(100);
  },
  120_000,
);
