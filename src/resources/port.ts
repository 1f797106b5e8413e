/**
 * The second port: the interface that clients and the cloud's interface are reached through (the patent's second step).
 *
 * 1. Held: up, with carrier, and every configured address usable. An address that is missing, a link without carrier, a
 *    gateway that has answered and answers no more: `not-held` in part, to be repaired.
 * 2. Released: administratively down, and none of the configured addresses left, neither on it nor on another interface.
 *    Down alone is not enough: IPv4 keeps the address in the local table, and the host goes on answering for it through
 *    its other interfaces.
 * 3. An interface that does not exist carries nothing. Other addresses on it are nobody's business, but go down with it.
 *
 * Routes are not made here: what leaves through the port is the business of `route-table`.
 */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { awaitCarrier, type CarrierLook } from './carrier.ts';
import { type Cidr, formatCidr, parseCidr } from './ip-address.ts';
import type { LinkState } from './ip-json.ts';
import { askGatewayAgain, checkGateway, GatewayMemory, type GatewayOnLink } from './link-gateway.ts';
import {
  deletion,
  keepOthers,
  type PortReading,
  placesInWords,
  readLink,
  readPort,
  tryDelete,
  tryIp,
} from './linux-link.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import {
  type AcquireContext,
  type ActionContext,
  type CommandRunner,
  isReleased,
  type ProbeResult,
  type Refreshed,
  type ReleaseContext,
  type Resource,
} from './types.ts';

export interface PortOptions {
  readonly name: string;
  readonly interface: string;
  /** As 10.0.1.11/24 or fd00::1/64. Empty: only the link counts. */
  readonly addresses: readonly string[];
  /** Asked at link level; null where there is none. */
  readonly gateway: string | null;
  /** Shared by all objects for this port; its own where absent. */
  readonly gatewayMemory?: GatewayMemory;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

export class PortResource implements Resource {
  readonly kind = 'port';
  readonly scope = 'local';
  readonly name: string;
  readonly #interface: string;
  readonly #addresses: readonly Cidr[];
  readonly #gateway: GatewayOnLink | null;
  readonly #memory: GatewayMemory;
  readonly #tools: LinuxTools;
  readonly #clock: Clock;

  constructor(options: PortOptions) {
    this.name = options.name;
    this.#interface = options.interface;
    this.#addresses = options.addresses.map(parseCidr);
    this.#memory = options.gatewayMemory ?? new GatewayMemory();
    const gateway = options.gateway === null ? null : parseCidr(options.gateway);
    const source = this.#addresses.find(({ family }) => family === gateway?.family)?.address ?? null;
    this.#gateway = gateway === null ? null : { gateway, interface: options.interface, source };
    this.#tools = new LinuxTools(options.runner, options.clock);
    this.#clock = options.clock;
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { link: port } = await this.#tools.mustRead(readLink(this.#tools, this.#interface, context));
    // Up first: an interface that goes up or down loses its IPv6 addresses.
    const up = port?.isUp === true ? [] : [['link', 'set', 'dev', this.#interface, 'up']];
    const missing = this.#addresses.filter((address) => port?.isUp !== true || !has(port, address));
    // One that is claimed must go before it can come back.
    const isClaimed = missing.some(({ address }) =>
      port?.addresses.some((one) => one.address === address && !one.isUsable),
    );
    const changes = [...up, ...missing.map((address) => this.#adding(address))];
    const isDone = !isClaimed && (await this.#tools.batch(null, changes, context));
    if (!isDone) for (const words of up) await this.#ip(words, context);
    for (const address of isDone ? [] : missing) {
      // The kernel found another host with the address once, and no `replace` makes it forget that.
      if (
        port?.addresses.some(({ address: one, isUsable }) => one === address.address && !isUsable) === true
      ) {
        await tryDelete(this.#tools, { interfaceName: this.#interface, cidr: address }, context);
      }
      await this.#ip(this.#adding(address), context);
    }
    await awaitCarrier(() => this.#lookAtLink(context), this.#clock, context);
    const isRepair = context.isFirst === false;
    if (isRepair && this.#memory.isSilent) throw new QuorateError('port-dead', this.#gatewayIsSilent);
    const gateway = await this.#checkGateway(context);
    const done = missing.length === 0 ? 'up' : `up with ${missing.map(formatCidr).join(', ')}`;
    return `${this.#interface} is ${done}${gateway}`;
  }

  /**
   * Every command is tried, whatever became of the one before; if one failed, what is left decides. Where all did what they
   * should, the caller's reading after them is the evidence (R2), not made twice.
   */
  async release(context: ReleaseContext): Promise<string> {
    const name = this.#interface;
    this.#memory.forget();
    // Down first: one command ends everything that comes in, whatever hangs afterwards.
    const failed = [await tryIp(this.#tools, ['link', 'set', 'dev', name, 'down'], name, context)];
    const reading = await this.#read(context);
    const own = reading.kind === 'read' ? (reading.value.link?.addresses ?? []) : this.#addresses;
    const places = [
      ...own.filter(this.#isOurs).map((cidr) => ({ interfaceName: name, cidr })),
      ...(reading.kind === 'read' ? reading.value.elsewhere : []),
    ];
    const kept: string[] = [];
    for (const { interfaceName, cidr } of places) {
      if (interfaceName === name) continue;
      const said = await keepOthers(this.#tools, { interfaceName, address: cidr.address }, context);
      if (said !== null) kept.push(said);
    }
    const deletions = places.map(({ interfaceName, cidr }) => deletion(interfaceName, cidr));
    if (!(await this.#tools.batch(null, deletions, context)))
      for (const place of places) failed.push(await tryDelete(this.#tools, place, context));
    const why = failed.filter((one) => one !== null);
    if (reading.kind === 'read' && why.length === 0) return [`${name} was taken down`, ...kept].join('; ');
    const result = await this.probe(context);
    if (isReleased(result)) return result.detail;
    const words = [`after its release ${result.detail}`, ...kept, ...why];
    throw new QuorateError('release-unverified', words.join('; '));
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const reading = await this.#read(context);
    if (reading.kind === 'unknown') return unknown(reading.why);
    const { link, elsewhere } = reading.value;
    const here = this.#judge(link);
    if (here.probe === 'held' && this.#memory.isSilent) return partly(this.#gatewayIsSilent);
    if (elsewhere.length === 0) return here;
    const detail = `${here.detail}, but ${placesInWords(elsewhere)}`;
    return here.probe === 'held' ? held(detail) : partly(detail);
  }

  /** Asks the gateway: a cable that is cut in one direction only has a carrier. */
  async refresh(context: ActionContext): Promise<Refreshed> {
    if (this.#gateway === null) return { outcome: 'well', said: 'there is no gateway to ask' };
    return askGatewayAgain(this.#gateway, this.#memory, this.#tools, this.#clock, context);
  }

  /** The interface alone. */
  async #lookAtLink(context: ActionContext): Promise<CarrierLook> {
    const reading = await readLink(this.#tools, this.#interface, context);
    if (reading.kind === 'unknown') return { result: unknown(reading.why), isDead: false };
    const { link } = reading.value;
    return { result: this.#judge(link), isDead: link?.isUp === true && !link.isRunning };
  }

  #read(context: ActionContext): Promise<Reading<PortReading>> {
    return readPort(this.#tools, { interface: this.#interface, addresses: this.#addresses }, context);
  }

  /** With whatever prefix length. */
  readonly #isOurs = ({ address }: Cidr): boolean => this.#addresses.some((own) => own.address === address);

  #judge(port: LinkState | null): ProbeResult {
    const name = this.#interface;
    if (port === null) return notHeld(`there is no interface ${name}`);
    if (!port.isUp) {
      const left = port.addresses.filter(this.#isOurs).map(formatCidr);
      return left.length === 0
        ? notHeld(`${name} is down`)
        : partly(`${name} is down, but still has ${left.join(', ')}`);
    }
    const present = this.#addresses.filter((address) => has(port, address)).map(formatCidr);
    const missing = this.#addresses.filter((address) => !has(port, address)).map(formatCidr);
    if (missing.length > 0) return partly(`${name} is up without ${missing.join(', ')}`);
    if (!port.isRunning) return partly(`${name} is up, but its link is ${port.operstate}`);
    return held(`${name} is up${present.length === 0 ? '' : ` with ${present.join(', ')}`}`);
  }

  get #gatewayIsSilent(): string {
    return `${this.#interface} is up, but gateway ${this.#gateway?.gateway.address ?? '?'} answers no longer`;
  }

  #adding(address: Cidr): readonly string[] {
    // No detection of duplicates: it takes a second, and the address is this node's own.
    const options = address.family === 'inet6' ? ['nodad'] : [];
    return ['addr', 'replace', formatCidr(address), 'dev', this.#interface, ...options];
  }

  async #ip(words: readonly string[], context: ActionContext): Promise<void> {
    await this.#tools.must(['ip', ...words], context);
  }

  async #checkGateway(context: AcquireContext): Promise<string> {
    if (this.#gateway === null) return '';
    const { hasAnswered, said } = await checkGateway(this.#gateway, this.#tools, this.#clock, context);
    if (hasAnswered) this.#memory.answered();
    return `, ${said}`;
  }
}

function has({ addresses }: LinkState, wanted: Cidr): boolean {
  return addresses.some(
    (address) =>
      address.address === wanted.address && address.prefixLength === wanted.prefixLength && address.isUsable,
  );
}
