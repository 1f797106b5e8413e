/**
 * An address of its own on the segment, for networks without a cloud: set, announced by gratuitous ARP (IPv4) or an
 * unsolicited neighbour advertisement (IPv6), and announced again as long as it is held.
 *
 * 1. The address first, then the announcement, and nobody waits for its end: `arping` sends at once and then stays for a
 *    second (measured, iputils 20221126: `-w` cannot be shorter), which clients would pay for.
 * 2. No announcement outlives the tenure: the command is killed with it, `-c 1` sends one packet, without the address
 *    `arping` cannot bind to it, and a repetition looks first.
 * 3. Released: the address is on no interface any more, with whatever prefix length.
 */
import type { Clock } from '../clock.ts';
import { instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { awaitCarrier, type CarrierLook } from './carrier.ts';
import { commandError, exitError } from './command-error.ts';
import { type Cidr, formatCidr, isLinkLocal, parseCidr } from './ip-address.ts';
import { type HostLink, type LinkAddress, type LinkState, parseHolders } from './ip-json.ts';
import { keepOthers, placesInWords, tryDelete } from './linux-link.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import {
  type AcquireContext,
  type ActionContext,
  type CommandResult,
  type CommandRunner,
  isReleased,
  type ProbeResult,
  type Refreshed,
  type ReleaseContext,
  type Resource,
} from './types.ts';

/** The second that `arping` stays, and a busy machine. */
const ANNOUNCE_LIMIT_MS = 2500;
/** Whole seconds: how long others may take to claim the address. */
const CONFLICT_WAIT_S = 1;

export interface VirtualIpOptions {
  readonly name: string;
  /** As 10.0.0.100/24 or fd00::100/64. */
  readonly address: string;
  readonly interface: string;
  readonly announce: boolean;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

export class VirtualIpResource implements Resource {
  readonly kind = 'virtual-ip';
  readonly scope = 'local';
  readonly name: string;
  readonly #address: Cidr;
  readonly #interface: string;
  readonly #mayAnnounce: boolean;
  readonly #tools: LinuxTools;
  readonly #clock: Clock;

  constructor(options: VirtualIpOptions) {
    this.name = options.name;
    this.#address = parseCidr(options.address);
    this.#interface = options.interface;
    this.#mayAnnounce = options.announce;
    this.#tools = new LinuxTools(options.runner, options.clock);
    this.#clock = options.clock;
  }

  async acquire(context: AcquireContext): Promise<string> {
    await this.#set('replace', context);
    let sending = this.#announceMeanwhile(context);
    let places = await this.#tools.mustRead(this.#read(context));
    // The kernel found another host with the address once, and no `replace` makes it forget that.
    const { own } = places;
    if (own?.link.isUp === true && this.#exact(own.link)?.isUsable === false) {
      const said = await tryDelete(
        this.#tools,
        { interfaceName: this.#interface, cidr: this.#address },
        context,
      );
      if (said !== null) throw new QuorateError('command-failed', said);
      await this.#set('add', context);
      sending = this.#announceMeanwhile(context);
      places = await this.#tools.mustRead(this.#read(context));
    }
    // In a repair a cable may be back in a moment; in a takeover another node takes over sooner.
    const mayWait = context.isFirst === false && places.own?.link.isUp === true && !places.own.link.isRunning;
    const look = async (): Promise<CarrierLook> => {
      const { own } = await this.#tools.mustRead(this.#read(context));
      const isDead = own?.link.isUp === true && !own.link.isRunning;
      return { result: this.#judgeOwn(own), isDead };
    };
    const seen = mayWait ? await awaitCarrier(look, this.#clock, context) : this.#judgeOwn(places.own);
    if (seen.probe === 'not-held') throw new QuorateError('not-as-wanted', seen.detail);
    return sending === null ? seen.detail : `${seen.detail}, ${sending.outcome()}`;
  }

  async #set(verb: 'add' | 'replace', context: ActionContext): Promise<void> {
    // No detection of duplicates: who may have the address is decided in the log, not on the segment.
    const options = this.#address.family === 'inet6' ? ['nodad'] : [];
    const words = ['addr', verb, formatCidr(this.#address), 'dev', this.#interface, ...options];
    await this.#tools.must(['ip', ...words], context);
  }

  /**
   * Looks first, because until the deletion clients are served, and from then on they wait: the deletions are the last commands
   * where all of them did what they should, and the caller's reading after them is the evidence (R2), not made twice.
   * Every command is tried, whatever became of the one before; if one failed, what is left decides.
   */
  async release(context: ReleaseContext): Promise<string> {
    const reading = await this.#read(context);
    const found = reading.kind === 'read' ? this.#placesOf(reading.value) : [];
    if (reading.kind === 'read' && found.length === 0) return this.#judge(reading.value).detail;
    const kept: string[] = [];
    for (const { interfaceName, cidr } of found) {
      if (cidr.isSecondary) continue;
      const said = await keepOthers(this.#tools, { interfaceName, address: cidr.address }, context);
      if (said !== null) kept.push(said);
    }
    // What cannot be read is there.
    const own = { interfaceName: this.#interface, cidr: this.#address };
    const places = found.length > 0 ? found : [own];
    const failed: string[] = [];
    for (const place of places) {
      const said = await tryDelete(this.#tools, place, context);
      if (said !== null) failed.push(said);
    }
    if (found.length > 0 && failed.length === 0) {
      const names = found.map(({ interfaceName }) => interfaceName).join(', ');
      return [`${this.#address.address} was deleted from ${names}`, ...kept].join('; ');
    }
    const result = await this.probe(context);
    if (isReleased(result)) return [result.detail, ...kept].join('; ');
    throw new QuorateError(
      'release-unverified',
      [`after its release ${result.detail}`, ...kept, ...failed].join('; '),
    );
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const reading = await this.#read(context);
    return reading.kind === 'unknown' ? unknown(reading.why) : this.#judge(reading.value);
  }

  /** One command for the whole host: the same address on another interface is as good for a client as ours. */
  #read(context: ActionContext): Promise<Reading<Places>> {
    const { address } = this.#address;
    return this.#tools.read<Places>(['ip', '-j', 'addr', 'show', 'to', address], context, (text) => {
      const holders = parseHolders(text, address);
      if (holders === null) return null;
      const isOwn = ({ interfaceName, otherNames }: HostLink): boolean =>
        interfaceName === this.#interface || otherNames.includes(this.#interface);
      const own = holders.find(isOwn) ?? null;
      // One on a link alone is another one on every link.
      return { own, elsewhere: isLinkLocal(address) ? [] : holders.filter((one) => one !== own) };
    });
  }

  #placesOf({ own, elsewhere }: Places): readonly Place[] {
    return [...(own === null ? [] : [own]), ...elsewhere].flatMap(({ interfaceName, link }) =>
      link.addresses.map((cidr) => ({ interfaceName, cidr })),
    );
  }

  #judge({ own, elsewhere }: Places): ProbeResult {
    const here = this.#judgeOwn(own);
    if (elsewhere.length === 0) return here;
    const detail = `${here.detail}, but ${placesInWords(this.#placesOf({ own: null, elsewhere }))}`;
    return here.probe === 'held' ? held(detail) : partly(detail);
  }

  #judgeOwn(own: HostLink | null): ProbeResult {
    const { address } = this.#address;
    const name = this.#interface;
    const same = own?.link.addresses ?? [];
    if (own === null || same.length === 0) return notHeld(`${address} is not on ${name}`);
    const { link } = own;
    if (!link.isUp) return partly(`${address} is on ${name}, which is down`);
    const exact = this.#exact(link);
    if (exact === undefined) return partly(`${name} has ${same.map(formatCidr).join(', ')}`);
    if (!exact.isUsable) return partly(`${address} is on ${name}, but another host claims it`);
    // A link that is dead under the address is no holder's link: repairs that do not help end in a move (H6).
    if (!link.isRunning) return partly(`${address} is on ${name}, whose link is ${link.operstate}`);
    return held(`${formatCidr(exact)} is on ${name}`);
  }

  /** Announces again, and says who else answers for the address (IPv4; the kernel's log tells it for IPv6). */
  async refresh(context: ActionContext): Promise<Refreshed> {
    if (!this.#mayAnnounce) return { outcome: 'well', said: 'announcements are off' };
    const { probe, detail } = await this.probe(context);
    if (probe !== 'held') throw new QuorateError('not-as-wanted', `not announced: ${detail}`);
    const [announced, conflict] = await Promise.all([this.#announce(context), this.#conflict(context)]);
    this.#mustBeSent(announced);
    return conflict;
  }

  /** Started and not waited for: what fails at once is known when the address has been read back. */
  #announceMeanwhile(context: ActionContext): { readonly outcome: () => string } | null {
    if (!this.#mayAnnounce) return null;
    let ended: CommandResult | null = null;
    void this.#announce(context).then((result) => {
      ended = result;
    });
    const outcome = (): string => {
      if (ended === null) return 'being announced';
      if (isNotReadyYet(ended)) return 'to be announced when the link-local address is usable';
      this.#mustBeSent(ended);
      return 'announced';
    };
    return { outcome };
  }

  #announce({ deadline, signal }: ActionContext): Promise<CommandResult> {
    const end = instant(Math.min(deadline, this.#clock.now() + ANNOUNCE_LIMIT_MS));
    return this.#tools.run(this.#announcement, { deadline: end, signal });
  }

  get #announcement(): string[] {
    const { family, address } = this.#address;
    // ndptool sends to all nodes, with the override flag and our link address (read off the wire, libndp 1.8).
    return family === 'inet'
      ? ['arping', '-U', '-c', '1', '-I', this.#interface, address]
      : ['ndptool', '-t', 'na', '-U', '-T', address, '-i', this.#interface, 'send'];
  }

  #mustBeSent(result: CommandResult): void {
    if (result.kind !== 'exited') throw commandError(this.#announcement, result);
    if (result.code !== 0) {
      throw exitError(this.#announcement, result.code, result.stderr || result.stdout);
    }
  }

  /** Whether somebody else answers. Only a reply with a link address counts as a conflict. */
  async #conflict(context: ActionContext): Promise<Refreshed> {
    const { family, address } = this.#address;
    const announced: Refreshed = { outcome: 'well', said: 'announced' };
    const notKnown: Refreshed = {
      outcome: 'well',
      said: 'announced; whether another host has the address is not known',
    };
    if (family === 'inet6') return announced;
    const wait = ['-c', '1', '-w', `${CONFLICT_WAIT_S}`];
    const command = ['arping', '-D', '-f', ...wait, '-I', this.#interface, address];
    const result = await this.#tools.run(command, context);
    if (result.kind !== 'exited') return notKnown;
    if (result.code === 0) return announced;
    const [, other] = /reply from \S+ \[([0-9A-F:]+)\]/i.exec(result.stdout) ?? [];
    if (other === undefined) return notKnown;
    const said = `${other.toLowerCase()} answers for ${address} on ${this.#interface}`;
    return { outcome: 'trouble', said };
  }

  #exact({ addresses }: LinkState): LinkAddress | undefined {
    return addresses.find(({ prefixLength }) => prefixLength === this.#address.prefixLength);
  }
}

/** The interfaces that have the address. */
interface Places {
  readonly own: HostLink | null;
  readonly elsewhere: readonly HostLink[];
}

interface Place {
  readonly interfaceName: string;
  readonly cidr: Cidr & Pick<LinkAddress, 'isSecondary'>;
}

/** ndptool sends from the link-local address, which a link that came up a moment ago does not have yet. */
function isNotReadyYet(result: CommandResult): boolean {
  return result.kind === 'exited' && result.code !== 0 && /Network is unreachable/.test(result.stderr);
}
