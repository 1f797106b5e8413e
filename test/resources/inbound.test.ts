/** The takeover's last step: who counts as a client, how long it is waited for, and what silence means. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { InboundResource } from '../../src/resources/inbound.ts';
import type { CommandResult, CommandRunner } from '../../src/resources/index.ts';

const exited = (code: number, stdout: string, stderr = ''): CommandResult => ({
  kind: 'exited',
  code,
  stdout,
  stderr,
});
const MISSING = exited(1, '', 'Error: No such file or directory\nlist counter inet quorate_in_data seen\n');

/** nft with one table, and packets that come in when the clock says so. */
class Kernel implements CommandRunner {
  nowMs = 0;
  hasTable = false;
  since = 0;
  /** When the first client's packet arrives; null: never. */
  packetAt: number | null = null;
  answer: CommandResult | null = null;
  localPorts: CommandResult = exited(0, '10000\t20000\n');
  readonly batches: string[] = [];
  readonly clock: Clock = {
    now: () => instant(this.nowMs),
    wallMs: () => 0,
    after: () => ({ cancel: () => undefined }),
    sleep: async (ms) => {
      this.nowMs += ms;
    },
  };

  async run(command: readonly string[]): Promise<CommandResult> {
    this.nowMs += 1;
    if (command[0] === 'sysctl') return this.localPorts;
    if (command[1] !== '-j') {
      const batch = command[1] ?? '';
      this.batches.push(batch);
      this.hasTable = batch.includes('add counter');
      return exited(0, '');
    }
    if (this.answer !== null) return this.answer;
    if (!this.hasTable) return MISSING;
    const packets = this.packetAt !== null && this.nowMs >= this.packetAt ? 3 : 0;
    const counter = { family: 'inet', name: 'seen', table: 'quorate_in_data', handle: 1, packets, bytes: 84 };
    return exited(0, JSON.stringify({ nftables: [{ metainfo: { json_schema_version: 1 } }, { counter }] }));
  }
  async killMarked(): Promise<number> {
    return 0;
  }
  follow(): () => void {
    return () => undefined;
  }
}

function bench(
  change: Partial<Pick<Kernel, 'packetAt' | 'answer' | 'hasTable' | 'localPorts'>> = {},
  required = false,
) {
  const kernel = Object.assign(new Kernel(), change);
  const resource = new InboundResource({
    name: 'data',
    interface: 'eth1',
    addresses: ['10.0.1.11', 'fd00::11'],
    withinMs: 2000,
    required,
    runner: kernel,
    clock: kernel.clock,
  });
  const context = { deadline: instant(60_000), signal: new AbortController().signal };
  return {
    kernel,
    resource,
    context,
    acquire: () => resource.acquire({ ...context, previousReleased: true }),
  };
}

describe('acquire', () => {
  it('ends with the first packet that a client has sent to one of the addresses', async () => {
    const { kernel, acquire } = bench({ packetAt: 300 });
    expect(await acquire()).toMatch(/^data comes in through eth1 after [34]\d\d ms$/);
    expect(kernel.batches).toHaveLength(1);
    for (const rule of [
      'iifname "eth1" ip daddr 10.0.1.11 ct direction original tcp flags & (syn | ack) == syn counter',
      'iifname "eth1" ip daddr 10.0.1.11 ct direction original ct state new udp dport != 10000-20000 counter',
      'iifname "eth1" ip6 daddr fd00::11 ct direction original icmpv6 type echo-request counter',
    ]) {
      expect(kernel.batches[0]).toContain(rule);
    }
  });

  it.each([exited(0, 'odd'), { kind: 'missing' } as const])(
    "takes the kernel's default for the ports of our own calls when they cannot be read",
    async (localPorts) => {
      const { kernel, acquire } = bench({ packetAt: 300, localPorts });
      await acquire();
      expect(kernel.batches[0]).toContain('udp dport != 32768-60999');
    },
  );

  it('required: a wait that was cut off is waited to its end, with the counter it began with', async () => {
    const { kernel, acquire } = bench({ hasTable: true, packetAt: 300 }, true);
    expect(await acquire()).toContain('data comes in');
    expect(kernel.nowMs).toBeGreaterThan(299);
    expect(kernel.batches).toEqual([]);
    expect(await acquire()).toBe('counted already');
    await expect(bench({ hasTable: true }, true).acquire()).rejects.toMatchObject({ code: 'no-data' });
  });

  it('says that nobody asks, after the time that the config gives, and goes on', async () => {
    const { kernel, acquire } = bench();
    expect(await acquire()).toContain('no data came in through eth1 within 2000 ms');
    expect(kernel.nowMs).toBeLessThan(2300);
    expect(kernel.hasTable).toBe(true);
  });

  it('fails where the config says that clients never fall silent, and leaves nothing behind', async () => {
    const { kernel, acquire } = bench({}, true);
    await expect(acquire()).rejects.toMatchObject({ code: 'no-data' });
    expect(kernel.hasTable).toBe(false);
  });

  it('does not wait again where it counts already', async () => {
    const { kernel, acquire } = bench({ hasTable: true });
    expect(await acquire()).toBe('counted already');
    expect(kernel.batches).toEqual([]);
  });
});

describe('probe', () => {
  it.each([
    ['held', {}, { hasTable: true }],
    ['not-held', {}, {}],
    ['unknown', {}, { answer: exited(0, '{"nftables": [{"counter"') }],
    ['unknown', {}, { answer: exited(0, '{"nftables": [{"metainfo": {}}]}') }],
    ['unknown', {}, { answer: exited(1, '', 'Error: Could not process rule: Operation not permitted') }],
    ['unknown', {}, { answer: { kind: 'timed-out', limitMs: 5 } as const }],
  ])('%s', async (probe, _, change) => {
    const { resource, context } = bench(change);
    expect(await resource.probe(context)).toMatchObject({ probe });
  });
});

it('required: without a packet it is held only in part, with one it is', async () => {
  const { kernel, resource, context } = bench({ hasTable: true }, true);
  expect(await resource.probe(context)).toMatchObject({ probe: 'not-held', isPartial: true });
  kernel.packetAt = 0;
  expect(await resource.probe(context)).toMatchObject({ probe: 'held' });
});

it('a release takes the counter away, also where there is none', async () => {
  const { kernel, resource, context } = bench({ hasTable: true });
  await resource.release(context);
  expect(kernel.hasTable).toBe(false);
  expect(kernel.batches[0]).toBe('add table inet quorate_in_data; delete table inet quorate_in_data');
});
