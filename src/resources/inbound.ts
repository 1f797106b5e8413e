/**
 * The takeover's last step: data comes in through the second port, by way of the address. Nothing is held here; what is looked
 * for is the end of a long chain (the cloud's association, its routes, our port), seen from the only side that counts.
 *
 * 1. Only what somebody else begins counts, not the answers to our own calls, which leave by the same port. Connection tracking
 *    alone does not tell: it begins with our rules, and takes the first packet of an older connection for its beginning, also
 *    when it is an answer. So TCP counts with its SYN, UDP only to ports that no call of ours leaves from.
 * 2. Silence is no failure, unless the config says that clients never fall silent: at night nobody may ask.
 * 3. It is counted from before the address moves to the end of the wait: a counter of its own that the kernel keeps.
 */
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { parseCidr } from './ip-address.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import type { AcquireContext, ActionContext, CommandRunner, ProbeResult, Resource } from './types.ts';

/** After the ports are let through (`port-block`), before the ordinary filters. */
const PRIORITY = -9;
const POLL_MS = { first: 5, most: 100 } as const;
const COUNTER = 'seen';
/** The kernel's own default of `net.ipv4.ip_local_port_range`, which holds for IPv6 too. */
const LOCAL_PORTS = '32768-60999';

export interface InboundOptions {
  readonly name: string;
  readonly interface: string;
  /** At least one; both families may be among them. */
  readonly addresses: readonly string[];
  readonly withinMs: number;
  readonly required: boolean;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

const document = z.object({ nftables: z.array(z.looseObject({})).min(1) });
const counter = z.object({
  counter: z.object({
    family: z.literal('inet'),
    name: z.literal(COUNTER),
    table: z.string(),
    packets: z.number().int().nonnegative(),
  }),
});

export class InboundResource implements Resource {
  readonly kind = 'inbound';
  readonly scope = 'local';
  readonly name: string;
  readonly #options: InboundOptions;
  readonly #table: string;
  readonly #tools: LinuxTools;

  constructor(options: InboundOptions) {
    this.name = options.name;
    this.#options = options;
    this.#table = `quorate_in_${options.name}`;
    this.#tools = new LinuxTools(options.runner, options.clock);
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { clock, interface: port, withinMs, required } = this.#options;
    const startedAt = clock.now();
    const before = await this.#tools.mustRead(this.#read(context));
    // A wait that was cut off has proved nothing yet.
    if (before !== null && (before > 0 || !required)) return 'counted already';
    if (before === null) await this.#transaction(this.#counting(await this.#localPorts(context)), context);
    let pauseMs: number = POLL_MS.first;
    while (clock.now() < Math.min(startedAt + withinMs, context.deadline) && !context.signal.aborted) {
      const packets = await this.#tools.mustRead(this.#read(context));
      if (packets !== null && packets > 0)
        return `data comes in through ${port} after ${Math.round(clock.now() - startedAt)} ms`;
      await clock.sleep(pauseMs, context.signal);
      pauseMs = Math.min(pauseMs * 2, POLL_MS.most);
    }
    const why = `no data came in through ${port} within ${withinMs} ms`;
    if (!required) return `${why}: no client asks, or the address does not lead here`;
    await this.#transaction(this.#away, context);
    throw new QuorateError('no-data', why);
  }

  async release(context: ActionContext): Promise<string> {
    await this.#transaction(this.#away, context);
    return 'not counted';
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const reading = await this.#read(context);
    if (reading.kind === 'unknown') return unknown(reading.why);
    const packets = reading.value;
    if (packets === null) return notHeld('not counted');
    // A wait goes on, or was cut off.
    if (packets === 0 && this.#options.required) return partly('no data has come in yet');
    return held(`${packets} connections or datagrams since the takeover`);
  }

  /** Where calls of this host leave from, as nft writes a range. */
  async #localPorts(context: ActionContext): Promise<string> {
    const command = ['sysctl', '-n', 'net.ipv4.ip_local_port_range'];
    const reading = await this.#tools.read(command, context, (text) => {
      const [, first, last] = /^(\d{1,5})\s+(\d{1,5})\s*$/.exec(text) ?? [];
      return first === undefined || last === undefined ? null : `${first}-${last}`;
    });
    return reading.kind === 'read' ? reading.value : LOCAL_PORTS;
  }

  #counting(localPorts: string): readonly string[] {
    const { interface: port, addresses } = this.#options;
    const table = `inet ${this.#table}`;
    const rules = addresses.flatMap((one) => {
      const { family, address } = parseCidr(one);
      const [ip, icmp] = family === 'inet' ? ['ip', 'icmp'] : ['ip6', 'icmpv6'];
      const beginnings = [
        'tcp flags & (syn | ack) == syn',
        `ct state new udp dport != ${localPorts}`,
        `${icmp} type echo-request`,
        'ct state new meta l4proto != { tcp, udp, icmp, ipv6-icmp }',
      ];
      const from = `add rule ${table} input iifname "${port}" ${ip} daddr ${address} ct direction original`;
      return beginnings.map((beginning) => `${from} ${beginning} counter name "${COUNTER}"`);
    });
    return [
      ...this.#away,
      `add table ${table}`,
      `add counter ${table} ${COUNTER}`,
      `add chain ${table} input { type filter hook input priority ${PRIORITY}; policy accept; }`,
      ...rules,
    ];
  }

  /** Deleting a table that does not exist is an error, adding one that exists is not. */
  get #away(): readonly string[] {
    return [`add table inet ${this.#table}`, `delete table inet ${this.#table}`];
  }

  async #transaction(statements: readonly string[], context: ActionContext): Promise<void> {
    await this.#tools.must(['nft', statements.join('; ')], context);
  }

  /** Packets so far; null where nothing counts them. */
  #read(context: ActionContext): Promise<Reading<number | null>> {
    return this.#tools
      .read<{ readonly packets: number | null }>(
        ['nft', '-j', 'list', 'counter', 'inet', this.#table, COUNTER],
        context,
        (text) => {
          const packets = readPackets(text, this.#table);
          return packets === null ? null : { packets };
        },
        ({ code, stderr }) =>
          code === 1 && /^Error: No such file or directory(;|\n|$)/.test(stderr) ? { packets: null } : null,
      )
      .then((reading) =>
        reading.kind === 'read' ? { kind: 'read', value: reading.value.packets } : reading,
      );
  }
}

function readPackets(text: string, table: string): number | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const objects = document.safeParse(parsed);
  if (!objects.success) return null;
  for (const object of objects.data.nftables) {
    const found = counter.safeParse(object);
    if (found.success && found.data.counter.table === table) return found.data.counter.packets;
  }
  return null;
}
