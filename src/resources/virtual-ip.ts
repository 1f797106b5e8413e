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
import { awaitCarrier } from './carrier.ts';
import { commandError, exitError } from './command-error.ts';
import { type Cidr, formatCidr, parseCidr } from './ip-address.ts';
import type { AddressPlace, LinkAddress, LinkState } from './ip-json.ts';
import {
  keepOthers,
  type LinkReading,
  placesInWords,
  readElsewhere,
  readLink,
  tryDelete,
} from './linux-link.ts';
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
    let { link } = await this.#mustLook(context);
    // The kernel found another host with the address once, and no `replace` makes it forget that.
    if (link?.isUp === true && this.#exact(link)?.isUsable === false) {
      const said = await tryDelete(
        this.#tools,
        { interfaceName: this.#interface, cidr: this.#address },
        context,
      );
      if (said !== null) throw new QuorateError('command-failed', said);
      await this.#set('add', context);
      sending = this.#announceMeanwhile(context);
      ({ link } = await this.#mustLook(context));
    }
    // In a repair a cable may be back in a moment; in a takeover another node takes over sooner.
    const mayWait = context.isFirst === false && link?.isUp === true && !link.isRunning;
    const look = async (): Promise<ProbeResult> => this.#judge((await this.#mustLook(context)).link);
    const seen = mayWait ? await awaitCarrier(look, this.#clock, context) : this.#judge(link);
    if (seen.probe === 'not-held') throw new QuorateError('not-as-wanted', seen.detail);
    return sending === null ? seen.detail : `${seen.detail}, ${sending.outcome()}`;
  }

  async #set(verb: 'add' | 'replace', context: ActionContext): Promise<void> {
    // No detection of duplicates: who may have the address is decided in the log, not on the segment.
    const options = this.#address.family === 'inet6' ? ['nodad'] : [];
    const words = ['addr', verb, formatCidr(this.#address), 'dev', this.#interface, ...options];
    await this.#tools.must(['ip', ...words], context);
  }

  #mustLook(context: ActionContext): Promise<LinkReading> {
    return this.#tools.mustRead(readLink(this.#tools, this.#interface, context));
  }

  /** Every command is tried, whatever became of the one before; what is left at the end decides. */
  async release(context: ReleaseContext): Promise<string> {
    const own = { interfaceName: this.#interface, cidr: this.#address };
    const kept: (string | null)[] = [];
    const said: (string | null)[] = [];
    const remove = async (place: Pick<AddressPlace, 'interfaceName' | 'cidr'>): Promise<void> => {
      const { interfaceName, cidr } = place;
      kept.push(await keepOthers(this.#tools, { interfaceName, address: cidr.address }, context));
      said.push(await tryDelete(this.#tools, place, context));
    };
    await remove(own);
    const [here, elsewhere] = await this.#readBoth(context);
    // The same address under another prefix length, or on another interface, is as good for a client as ours.
    const same = here.kind === 'read' ? this.#same(here.value.link) : [];
    for (const cidr of same) await remove({ ...own, cidr });
    for (const place of elsewhere.kind === 'read' ? elsewhere.value : []) await remove(place);
    const result = await this.probe(context);
    const notes = kept.filter((one) => one !== null);
    if (isReleased(result)) return [result.detail, ...notes].join('; ');
    const words = [`after its release ${result.detail}`, ...notes, ...said.filter((one) => one !== null)];
    throw new QuorateError('release-unverified', words.join('; '));
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const [reading, elsewhere] = await this.#readBoth(context);
    if (reading.kind === 'unknown') return unknown(reading.why);
    if (elsewhere.kind === 'unknown') return unknown(elsewhere.why);
    const here = this.#judge(reading.value.link);
    if (elsewhere.value.length === 0) return here;
    const detail = `${here.detail}, but ${placesInWords(elsewhere.value)}`;
    return here.probe === 'held' ? held(detail) : partly(detail);
  }

  #readBoth(
    context: ActionContext,
  ): Promise<readonly [Reading<LinkReading>, Reading<readonly AddressPlace[]>]> {
    const ours = { interface: this.#interface, addresses: [this.#address] };
    return Promise.all([
      readLink(this.#tools, this.#interface, context),
      readElsewhere(this.#tools, ours, context),
    ]);
  }

  #judge(link: LinkState | null): ProbeResult {
    const { address } = this.#address;
    const name = this.#interface;
    if (link === null) return notHeld(`there is no interface ${name}`);
    const same = this.#same(link);
    if (same.length === 0) return notHeld(`${address} is not on ${name}`);
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

  #exact(link: LinkState): LinkAddress | undefined {
    return this.#same(link).find(({ prefixLength }) => prefixLength === this.#address.prefixLength);
  }

  #same(link: LinkState | null): readonly LinkAddress[] {
    return (link?.addresses ?? []).filter(({ address }) => address === this.#address.address);
  }
}

/** ndptool sends from the link-local address, which a link that came up a moment ago does not have yet. */
function isNotReadyYet(result: CommandResult): boolean {
  return result.kind === 'exited' && result.code !== 0 && /Network is unreachable/.test(result.stderr);
}
