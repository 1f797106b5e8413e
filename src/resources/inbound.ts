/**
 * The takeover's last step: data comes in through the second port, by way of the address. Nothing is held here; what is looked
 * for is the end of a long chain (the cloud's association, its routes, our port), seen from the only side that counts.
 *
 * 1. Only what somebody else has begun counts: connection tracking tells a client's packets from the answers to our own calls,
 *    which leave by the same port.
 * 2. Silence is no failure, unless the config says that clients never fall silent: at night nobody may ask.
 * 3. It is counted from before the address moves to the end of the wait: a counter of its own that the kernel keeps.
 */
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { parseCidr } from './ip-address.ts';
import { held, LinuxTools, notHeld, type Reading, unknown } from './linux-tools.ts';
import type { AcquireContext, ActionContext, CommandRunner, ProbeResult, Resource } from './types.ts';

/** After the ports are let through (`port-block`), before the ordinary filters. */
const PRIORITY = -9;
const POLL_MS = { first: 5, most: 100 } as const;
const COUNTER = 'seen';

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
    if ((await this.#tools.mustRead(this.#read(context))) !== null) return 'counted already';
    await this.#transaction(this.#counting(), context);
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
    return packets === null ? notHeld('not counted') : held(`${packets} packets since the takeover`);
  }

  #counting(): readonly string[] {
    const { interface: port, addresses } = this.#options;
    const table = `inet ${this.#table}`;
    const rules = addresses.map((one) => {
      const { family, address } = parseCidr(one);
      const to = `${family === 'inet' ? 'ip' : 'ip6'} daddr ${address}`;
      return `add rule ${table} input iifname "${port}" ${to} ct direction original counter name "${COUNTER}"`;
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
