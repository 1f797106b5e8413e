/**
 * The service's ports, closed wherever the service is not held. HELD means open: there is no rule of ours. NOT-HELD means
 * that the rules which drop are in place. So a node blocks its ports from its first release on, at start; a takeover
 * opens them last, when the service is ready; and a release closes them first.
 *
 * 1. Drop, never reject: to a client the service is late, not gone, so it tries again and meets the next holder.
 * 2. Outgoing too: the FIN and RST of a server that is stopped would end what the next holder is about to answer.
 * 3. Every change is one transaction of nft: there is no moment in which a rule is missing that was there before.
 * 4. The table belongs to this resource alone, and is compared rule by rule. A table that is there but differs (dormant,
 *    a rule gone) is neither open nor closed: to be repaired, and not released.
 * 5. The loopback interface is left alone: a service's own checks must pass before the ports open.
 */
import type { Clock } from '../clock.ts';
import { assert } from '../core/index.ts';
import { type Cidr, type Family, parseCidr } from './ip-address.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import { NFT_DROP, type NftTable, nftMatch, parseNftTable } from './nft-json.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';

export interface BlockedPort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

export interface PortBlockOptions {
  readonly name: string;
  readonly ports: readonly BlockedPort[];
  /** The service's addresses; a prefix length is ignored. Empty: all of the host's. */
  readonly addresses: readonly string[];
  /** Ends the server's side of established connections too, so that a later return does not meet them. */
  readonly resetConnections: boolean;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

interface Rule {
  readonly text: string;
  /** As `parseNftTable` reads it back. */
  readonly readsAs: string;
}

/** Before the ordinary filters at 0, so that none of them accepts first. */
const PRIORITY = -10;
const DIRECTIONS = {
  input: { interface: 'iifname', address: 'daddr', port: 'dport' },
  output: { interface: 'oifname', address: 'saddr', port: 'sport' },
} as const;
type Direction = keyof typeof DIRECTIONS;
const IP_WORD: Readonly<Record<Family, string>> = { inet: 'ip', inet6: 'ip6' };

export class PortBlockResource implements Resource {
  readonly kind = 'port-block';
  readonly scope = 'local';
  readonly name: string;
  readonly #table: string;
  readonly #ports: readonly BlockedPort[];
  readonly #addresses: readonly Cidr[];
  readonly #rules: readonly Rule[];
  readonly #mayReset: boolean;
  readonly #tools: LinuxTools;

  constructor(options: PortBlockOptions) {
    assert(/^[\w.-]{1,63}$/.test(options.name), `"${options.name}" cannot be part of a table's name`);
    this.name = options.name;
    // Not the prefix of `inbound`: names of resources may have any beginning.
    this.#table = `quorate_block_${options.name}`;
    this.#ports = options.ports;
    this.#addresses = options.addresses.map(parseCidr);
    this.#rules = (['input', 'output'] as const).flatMap((direction) => this.#rulesOf(direction));
    assert(this.#rules.length > 0, `${options.name} blocks no port`);
    this.#mayReset = options.resetConnections;
    this.#tools = new LinuxTools(options.runner, options.clock);
  }

  async acquire(context: AcquireContext): Promise<string> {
    await this.#transaction(this.#away, context);
    return `${this.#words} open`;
  }

  async release(context: ReleaseContext): Promise<string> {
    const table = `inet ${this.#table}`;
    await this.#transaction(
      [
        // What is there may be half of it, or of another version.
        ...this.#away,
        `add table ${table}`,
        ...['input', 'output'].map(
          (hook) =>
            `add chain ${table} ${hook} { type filter hook ${hook} priority ${PRIORITY}; policy accept; }`,
        ),
        ...this.#rules.map(({ text }) => `add rule ${table} ${text}`),
      ],
      context,
    );
    return `${this.#words} closed${this.#mayReset ? await this.#resetConnections(context) : ''}`;
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const reading = await this.#read(context);
    if (reading.kind === 'unknown') return unknown(reading.why);
    const { table } = reading.value;
    if (table === null) return held(`${this.#words} open`);
    const why = this.#difference(table);
    return why === null
      ? notHeld(`${this.#words} closed`)
      : partly(`${this.#words} neither open nor closed: ${why}`);
  }

  /** Deleting a table that does not exist is an error, adding one that exists is not. */
  get #away(): readonly string[] {
    return [`add table inet ${this.#table}`, `delete table inet ${this.#table}`];
  }

  async #transaction(statements: readonly string[], context: ActionContext): Promise<void> {
    // One argument is one batch, and nft commits a batch as a whole or not at all.
    await this.#tools.must(['nft', statements.join('; ')], context);
  }

  /** Best effort: the rules are what counts. After them, so that no RST gets out. */
  async #resetConnections(context: ActionContext): Promise<string> {
    const ports = this.#ports.filter(({ protocol }) => protocol === 'tcp').map(({ port }) => port);
    if (ports.length === 0) return '';
    const sources = this.#addresses.map(({ family, address }) =>
      family === 'inet' ? `src ${address}` : `src [${address}]`,
    );
    const byPort = `( ${ports.map((port) => `sport = :${port}`).join(' or ')} )`;
    const filter = sources.length === 0 ? byPort : `${byPort} and ( ${sources.join(' or ')} )`;
    const command = ['ss', '-K', '-H', '-n', '-t', 'state', 'connected', filter];
    const result = await this.#tools.run(command, context);
    if (result.kind !== 'exited' || result.code !== 0) return ', connections not reset';
    return `, ${result.stdout.split('\n').filter((line) => line.trim() !== '').length} connections reset`;
  }

  #read(context: ActionContext): Promise<Reading<{ readonly table: NftTable | null }>> {
    return this.#tools.read<{ readonly table: NftTable | null }>(
      ['nft', '-j', 'list', 'table', 'inet', this.#table],
      context,
      (text) => {
        const table = parseNftTable(text, this.#table);
        return table === null ? null : { table };
      },
      // nft quotes the command under the sentence; a missing permission or kernel part has another one.
      ({ code, stderr }) => {
        const [sentence = '', quoted = ''] = stderr.split('\n');
        const isMissing =
          /^Error: No such file or directory(;|$)/.test(sentence) &&
          quoted === `list table inet ${this.#table}`;
        return code === 1 && isMissing ? { table: null } : null;
      },
    );
  }

  /** Null when the table is exactly as wanted. */
  #difference({ flags, chains, rules, others }: NftTable): string | null {
    if (flags.length > 0) return `the table is ${flags.join(', ')}`;
    if (others.length > 0) return `the table has a ${others.join(', ')}`;
    const isWhole =
      chains.length === 2 &&
      ['input', 'output'].every((hook) =>
        chains.some(
          (chain) =>
            chain.name === hook &&
            chain.hook === hook &&
            chain.type === 'filter' &&
            chain.priority === PRIORITY &&
            chain.policy === 'accept',
        ),
      );
    if (!isWhole) return 'its chains differ';
    const wanted = this.#rules.map(({ readsAs }) => readsAs);
    const isSame = rules.length === wanted.length && wanted.every((rule) => rules.includes(rule));
    return isSame ? null : `${rules.length} rules, not the ${wanted.length} wanted`;
  }

  /** One for each protocol and family of addresses. */
  #rulesOf(direction: Direction): Rule[] {
    const words = DIRECTIONS[direction];
    return (['tcp', 'udp'] as const).flatMap((protocol) => {
      const ports = this.#ports.filter((port) => port.protocol === protocol).map(({ port }) => port);
      if (ports.length === 0) return [];
      const families = (['inet', 'inet6'] as const).filter((family) =>
        this.#addresses.some((address) => address.family === family),
      );
      const scopes = families.map((family) => ({
        left: `${IP_WORD[family]} ${words.address}`,
        values: this.#addresses.filter((one) => one.family === family).map(({ address }) => address),
      }));
      return (scopes.length === 0 ? [null] : scopes).map((scope): Rule => {
        const matches = [
          ...(scope === null ? [] : [scope]),
          { left: `${protocol} ${words.port}`, values: ports },
        ].map(({ left, values }) => ({ left, values: [...new Set<string | number>(values)] }));
        const set = (values: readonly (string | number)[]): string => `{ ${values.join(', ')} }`;
        const texts = matches.map(({ left, values }) => `${left} ${set(values)}`);
        const reads = matches.map(({ left, values }) => nftMatch(left, '==', values));
        return {
          text: [direction, words.interface, '!= "lo"', ...texts, 'drop'].join(' '),
          readsAs: `${direction}: ${[nftMatch(words.interface, '!=', ['lo']), ...reads, NFT_DROP].join(', ')}`,
        };
      });
    });
  }

  get #words(): string {
    return `ports ${this.#ports.map(({ protocol, port }) => `${protocol}/${port}`).join(', ')} are`;
  }
}
