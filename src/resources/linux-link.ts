/**
 * One interface, and where an address is, read by `ip -j addr`. Linux answers for an IPv4 address on whichever interface
 * asks: one that is left on another interface is as good for a client as one on its own.
 */
import { commandError, exitError } from './command-error.ts';
import { type Cidr, formatCidr, isLinkLocal, networkOf } from './ip-address.ts';
import {
  type AddressPlace,
  type HostLink,
  type LinkState,
  parseHost,
  parseLink,
  parsePlaces,
} from './ip-json.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { ActionContext } from './types.ts';

export interface LinkReading {
  /** Null where the interface does not exist. */
  readonly link: LinkState | null;
}

export function readLink(
  tools: LinuxTools,
  name: string,
  context: ActionContext,
): Promise<Reading<LinkReading>> {
  return tools.read<LinkReading>(
    ['ip', '-j', 'addr', 'show', 'dev', name],
    context,
    (text) => {
      const link = parseLink(text, name);
      return link === null ? null : { link };
    },
    ({ stderr }) => (isNoSuchDevice(stderr, name) ? { link: null } : null),
  );
}

/** `ip addr` and `ip link` say it differently. */
export function isNoSuchDevice(stderr: string, name: string): boolean {
  return [`Device "${name}" does not exist.`, `Cannot find device "${name}"`].includes(stderr.trim());
}

/** The addresses on all interfaces but the one with this name. One on a link alone is another one on every link. */
async function readElsewhere(
  tools: LinuxTools,
  { interface: name, addresses }: { readonly interface: string; readonly addresses: readonly Cidr[] },
  context: ActionContext,
): Promise<Reading<readonly AddressPlace[]>> {
  const global = [...new Set(addresses.map(({ address }) => address))].filter((one) => !isLinkLocal(one));
  const readings = await Promise.all(
    // Only these: on a host with many interfaces the whole list is longer than a command's output may be.
    global.map((address) =>
      tools.read(['ip', '-j', 'addr', 'show', 'to', address], context, (text) => parsePlaces(text, address)),
    ),
  );
  const places: AddressPlace[] = [];
  for (const reading of readings) {
    if (reading.kind === 'unknown') return reading;
    places.push(...reading.value);
  }
  const isHere = ({ interfaceName, otherNames }: AddressPlace): boolean =>
    interfaceName === name || otherNames.includes(name);
  return { kind: 'read', value: places.filter((place) => !isHere(place)) };
}

/** An interface, and the addresses that are on others. */
export interface PortReading extends LinkReading {
  readonly elsewhere: readonly AddressPlace[];
}

/** Both by one command, where the interface is there and the list of all can be read. */
export async function readPort(
  tools: LinuxTools,
  ours: { readonly interface: string; readonly addresses: readonly Cidr[] },
  context: ActionContext,
): Promise<Reading<PortReading>> {
  const result = await tools.run(WHOLE_HOST, context, { isReading: true });
  const reading = tools.judge(WHOLE_HOST, result, parseHost);
  if (reading.kind === 'unknown') {
    // Somebody else's interface may be what cannot be read, or there are too many of them.
    const mayAskForOurs = result.kind === 'exited' || (result.kind === 'died' && result.isTooMuch === true);
    return mayAskForOurs ? readPortAlone(tools, ours, context) : reading;
  }
  const isHere = ({ interfaceName, otherNames }: HostLink): boolean =>
    interfaceName === ours.interface || otherNames.includes(ours.interface);
  const isOurs = ({ address }: Cidr): boolean =>
    !isLinkLocal(address) && ours.addresses.some((own) => own.address === address);
  const here = reading.value.find(isHere);
  // That it is missing from a list is less than being told that there is no such interface.
  if (here === undefined) return readPortAlone(tools, ours, context);
  const elsewhere = reading.value
    .filter((one) => !isHere(one))
    .flatMap(({ link, ...names }) => link.addresses.filter(isOurs).map((cidr) => ({ ...names, cidr })));
  return { kind: 'read', value: { link: here.link, elsewhere } };
}

const WHOLE_HOST = ['ip', '-j', 'addr', 'show'] as const;

async function readPortAlone(
  tools: LinuxTools,
  ours: { readonly interface: string; readonly addresses: readonly Cidr[] },
  context: ActionContext,
): Promise<Reading<PortReading>> {
  const [here, elsewhere] = await Promise.all([
    readLink(tools, ours.interface, context),
    readElsewhere(tools, ours, context),
  ]);
  if (here.kind === 'unknown') return here;
  if (elsewhere.kind === 'unknown') return elsewhere;
  return { kind: 'read', value: { ...here.value, elsewhere: elsewhere.value } };
}

/** As "10.0.0.50/24 is on eth2". */
export function placesInWords(places: readonly Pick<AddressPlace, 'interfaceName' | 'cidr'>[]): string {
  return places.map(({ interfaceName, cidr }) => `${formatCidr(cidr)} is on ${interfaceName}`).join(', ');
}

/**
 * One command of a release that reads afterwards: what it said when it failed, or null. That nothing was to be done is no
 * failure; an interface that goes down has lost its IPv6 addresses by itself. Throws when the command did not end.
 */
export async function tryIp(
  tools: LinuxTools,
  words: readonly string[],
  interfaceName: string,
  context: ActionContext,
): Promise<string | null> {
  const command = ['ip', ...words];
  const result = await tools.run(command, context);
  if (result.kind !== 'exited') throw commandError(command, result);
  if (result.code === 0 || isNoSuchDevice(result.stderr, interfaceName)) return null;
  // The first since Linux 6.6, which has words for it; before, iproute2 has only the error's number.
  const isGone = /address not found|^RTNETLINK answers: Cannot assign requested address/im.test(
    result.stderr,
  );
  return isGone ? null : exitError(command, result.code, result.stderr || result.stdout).message;
}

export function deletion(interfaceName: string, cidr: Cidr): readonly string[] {
  return ['addr', 'del', formatCidr(cidr), 'dev', interfaceName];
}

/** Deletes the address, and reports as `tryIp`. */
export function tryDelete(
  tools: LinuxTools,
  { interfaceName, cidr }: Pick<AddressPlace, 'interfaceName' | 'cidr'>,
  context: ActionContext,
): Promise<string | null> {
  return tryIp(tools, deletion(interfaceName, cidr), interfaceName, context);
}

/**
 * To be called before an address is deleted from an interface that keeps others: with the first IPv4 address of a network
 * the kernel deletes all others of it, this node's own among them, unless it is told to promote one. What was done or
 * could not be done, as a sentence; null where nothing was to be.
 */
export async function keepOthers(
  tools: LinuxTools,
  { interfaceName, address }: { readonly interfaceName: string; readonly address: string },
  context: ActionContext,
): Promise<string | null> {
  const reading = await readLink(tools, interfaceName, context);
  const present = reading.kind === 'read' ? (reading.value.link?.addresses ?? []) : [];
  const networkWords = (cidr: Cidr): string => `${networkOf(cidr)}/${cidr.prefixLength}`;
  const led = present
    .filter((one) => one.family === 'inet' && one.address === address && !one.isSecondary)
    .map(networkWords);
  const others = present.filter((one) => one.isSecondary && led.includes(networkWords(one)));
  if (others.length === 0) return null;
  // With slashes, because a dot may be part of an interface's name.
  const command = ['sysctl', '-w', `net/ipv4/conf/${interfaceName}/promote_secondaries=1`];
  const result = await tools.run(command, context);
  const names = others.map(formatCidr).join(', ');
  if (result.kind === 'exited' && result.code === 0)
    return `promote_secondaries of ${interfaceName} was set to 1, so that ${names} stays`;
  const why =
    result.kind === 'exited' ? exitError(command, result.code, result.stderr) : commandError(command, result);
  return `${names} goes with ${address}: ${why.message}`;
}
