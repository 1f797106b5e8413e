/**
 * What keeps an old Primary from writing on, read from DRBD's config and from its kernel, and judged (complaint 13: a
 * resource that nothing guards was found in a journal, after the fact). Pure.
 */
import { isRecord } from './ask.ts';
import { type Block, blocksOf, parseDrbdText, valuesOf } from './drbd-text.ts';
import { type Finding, failed, ok, unknown, warning } from './report.ts';

/** Every value that is in force somewhere, as some connections may differ; empty: DRBD's default. */
export interface DrbdSettings {
  readonly fencing: readonly string[];
  readonly protocol: readonly string[];
  readonly quorum: readonly string[];
  readonly onNoQuorum: readonly string[];
  readonly onNoData: readonly string[];
  readonly onSuspendedOutdated: readonly string[];
  readonly autoPromote: readonly string[];
  readonly twoPrimaries: readonly string[];
}

export interface DrbdHost {
  readonly name: string;
  /** Every volume of it: a tie-breaker, or a client. */
  readonly isDiskless: boolean;
}

/** What only the config says: the kernel knows no handlers and no other hosts. */
export interface DrbdConfig {
  readonly settings: DrbdSettings;
  /** The command line of the handler `fence-peer`; null: none. */
  readonly fencePeer: string | null;
  /** Who has a part in the resource. */
  readonly hosts: readonly DrbdHost[];
}

const KEYS: Readonly<Record<keyof DrbdSettings, string>> = {
  fencing: 'fencing',
  protocol: 'protocol',
  quorum: 'quorum',
  onNoQuorum: 'on-no-quorum',
  onNoData: 'on-no-data-accessible',
  onSuspendedOutdated: 'on-suspended-primary-outdated',
  autoPromote: 'auto-promote',
  twoPrimaries: 'allow-two-primaries',
};

/** Of `drbdadm dump`, all of it: `dump RES` leaves out what stands under "common". Null: not understood, or not in it. */
export function parseDump(text: string, resource: string): DrbdConfig | null {
  const root = parseDrbdText(text);
  const own = root === null ? undefined : blocksOf(root, 'resource').find(({ name }) => name === resource);
  if (root === null || own === undefined) return null;
  const common = blocksOf(root, 'common');
  const handler = [...common, own]
    .flatMap((block) => blocksOf(block, 'handlers'))
    .flatMap((block) => block.values.get('fence-peer') ?? []);
  return {
    settings: settingsOf((key) => {
      const said = valuesOf(own, key);
      return said.length > 0 ? said : common.flatMap((block) => valuesOf(block, key));
    }),
    fencePeer: handler.at(-1) ?? null,
    hosts: ['on', 'floating'].flatMap((type) => blocksOf(own, type)).map(hostOf),
  };
}

/** Without a word about disks of its own it has those of the resource. */
function hostOf(block: Block): DrbdHost {
  const disks = valuesOf(block, 'disk');
  return { name: block.name, isDiskless: disks.length > 0 && disks.every((disk) => disk === 'none') };
}

/** Of `drbdsetup show --show-defaults --json RES` (DRBD 9). Null: not understood, or not in it. */
export function parseShowJson(text: string, resource: string): DrbdSettings | null {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return null;
  }
  const own = Array.isArray(document)
    ? document.find((one) => isRecord(one) && one.resource === resource)
    : undefined;
  if (!isRecord(own) || !isRecord(own.options)) return null;
  const { options, connections = [] } = own;
  if (!Array.isArray(connections)) return null;
  const nets = connections.flatMap((one) => (isRecord(one) && isRecord(one.net) ? [one.net] : []));
  // Without a connection the kernel has no "net", and what stands there would look like a default.
  if (nets.length === 0 || nets.length < connections.length) return null;
  const places: readonly Record<string, unknown>[] = [options, ...nets];
  return settingsOf((key) =>
    places.flatMap((place) => (Object.hasOwn(place, key) ? jsonText(place[key]) : [])),
  );
}

/** Of `drbdsetup show RES`, which names what differs from the defaults (all there is in 8.4). */
export function parseShowText(text: string, resource: string): DrbdSettings | null {
  const root = parseDrbdText(text);
  const own = root === null ? undefined : blocksOf(root, 'resource').find(({ name }) => name === resource);
  const isConnected = own !== undefined && hasBlock(own, 'net');
  return isConnected ? settingsOf((key) => valuesOf(own, key)) : null;
}

const hasBlock = (block: Block, type: string): boolean =>
  block.blocks.some((inner) => inner.type === type || hasBlock(inner, type));

function settingsOf(read: (key: string) => readonly string[]): DrbdSettings {
  const entries = Object.entries(KEYS).map(([name, key]) => [name, [...new Set(read(key))]]);
  return Object.fromEntries(entries) as unknown as DrbdSettings; // one entry for each key of KEYS
}

const jsonText = (value: unknown): string =>
  value === true ? 'yes' : value === false ? 'no' : String(value);

/** Our handler, however it is called: by path, through node, with a config. */
export const isOurHandler = (command: string): boolean =>
  /(^|[\s/])quorate(\.mjs)?["']?\s+fence-peer(\s|$)/.test(command);

/** Where the settings were read: the kernel's are in force, the config's will be at the next `drbdadm adjust`. */
export type Source = 'kernel' | 'config';

export interface Judged {
  readonly resource: string;
  readonly settings: DrbdSettings;
  readonly source: Source;
  /** Null where it could not be read. */
  readonly config: DrbdConfig | null;
  /** Of the module, 8 or 9: they have other defaults; null where it is not known. */
  readonly major: number | null;
}

export function judge({ resource, settings, source, config, major }: Judged): readonly Finding[] {
  const where = source === 'kernel' ? 'in the kernel' : 'in its config';
  return [
    guard(resource, settings, config, where),
    protocol(resource, settings, where),
    promotion(resource, settings, major, where),
    ...suspension(resource, settings, where),
  ];
}

const CONFIG_FENCING =
  'In net { fencing resource-and-stonith; } and handlers { fence-peer "quorate fence-peer --config /etc/quorate/quorate.yaml"; }, then "drbdadm adjust".';

/** One of the two guards of d.0 must be whole; half of both is none. */
function guard(resource: string, settings: DrbdSettings, config: DrbdConfig | null, where: string): Finding {
  const subject = `${resource} guard`;
  const fencing = only(settings.fencing, 'dont-care');
  const quorum = whyNoQuorum(settings);
  if (quorum === null) {
    const detail = `quorum ${settings.quorum.join('/')} stops a Primary that is cut off, ${where}`;
    return config !== null && config.hosts.length < 3
      ? warning(
          subject,
          `${detail}; with ${config.hosts.length} hosts the loss of one stops the other too`,
          'Add the witness to the resource, without a disk, or use fencing instead of quorum.',
        )
      : ok(subject, detail);
  }
  if (fencing !== 'resource-and-stonith') {
    const why = FENCING_MEANS[fencing] ?? `fencing is "${fencing}"`;
    return failed(
      subject,
      `nothing keeps an old Primary from writing on: ${why}, and ${quorum} (${where})`,
      CONFIG_FENCING,
    );
  }
  if (config === null)
    return {
      subject,
      result: 'unknown',
      detail: `fencing is resource-and-stonith ${where}; its handler stands in the config, which cannot be read`,
      remedy: 'Run the doctor as a user who may run "drbdadm dump".',
    };
  if (config.fencePeer === null)
    return failed(
      subject,
      'fencing is resource-and-stonith, but there is no handler "fence-peer": I/O would stay frozen without the peer',
      CONFIG_FENCING,
    );
  return isOurHandler(config.fencePeer)
    ? ok(subject, `fencing resource-and-stonith ${where}, and quorate is its handler`)
    : failed(
        subject,
        `the handler "fence-peer" is "${config.fencePeer}": it lets DRBD write on without a majority knowing (H3)`,
        CONFIG_FENCING,
      );
}

const FENCING_MEANS: Readonly<Record<string, string>> = {
  'dont-care': "fencing is 'dont-care'",
  'resource-only':
    "fencing is 'resource-only', which does not freeze I/O until the peer is known to be outdated",
  mixed: 'fencing differs between its connections',
};

/** Null: quorum is a guard. */
function whyNoQuorum({ quorum, onNoQuorum }: DrbdSettings): string | null {
  const value = only(quorum, 'off');
  const action = only(onNoQuorum, 'suspend-io');
  if (value === 'mixed' || value === 'off') return "quorum is 'off'";
  if (!/^(majority|all|[2-9]|[1-9]\d)$/.test(value)) return `quorum is '${value}'`;
  return action === 'io-error' || action === 'suspend-io' ? null : `on-no-quorum is '${action}'`;
}

function protocol(resource: string, settings: DrbdSettings, where: string): Finding {
  const subject = `${resource} protocol`;
  const value = only(settings.protocol, 'C');
  return value === 'C'
    ? ok(subject, 'C: a write is acknowledged when both have it')
    : failed(
        subject,
        `${value === 'mixed' ? settings.protocol.join('/') : value} ${where}: writes that clients saw acknowledged would be lost in a takeover`,
        'In net { protocol C; }, then "drbdadm adjust".',
      );
}

function promotion(resource: string, settings: DrbdSettings, major: number | null, where: string): Finding {
  const subject = `${resource} promotion`;
  if (only(settings.twoPrimaries, 'no') !== 'no')
    return failed(
      subject,
      `allow-two-primaries ${where}: DRBD itself would let two nodes write`,
      'Remove allow-two-primaries from net { }, then "drbdadm adjust".',
    );
  // 8.4 has no such option, and never promotes by itself; 9 does unless told not to.
  const byDefault = major === null ? 'unsaid' : major >= 9 ? 'yes' : 'no';
  const value = only(settings.autoPromote, byDefault);
  if (value === 'no') return ok(subject, 'only when told');
  if (value === 'unsaid')
    return unknown(
      subject,
      'auto-promote is not said, and its default depends on the version, which is not known',
    );
  return failed(
    subject,
    `auto-promote ${where}: opening the device makes a node Primary, without a lease`,
    'In options { auto-promote no; }, then "drbdadm adjust".',
  );
}

function suspension(resource: string, settings: DrbdSettings, where: string): readonly Finding[] {
  const subject = `${resource} suspension`;
  const remedy =
    'In options { on-no-data-accessible io-error; on-suspended-primary-outdated force-secondary; }, then "drbdadm adjust".';
  if (settings.onNoData.includes('suspend-io'))
    return [
      warning(
        subject,
        `on-no-data-accessible is suspend-io ${where}: I/O that hangs cannot be released in time (D)`,
        remedy,
      ),
    ];
  const isByQuorum =
    whyNoQuorum(settings) === null && only(settings.onNoQuorum, 'suspend-io') === 'suspend-io';
  if (isByQuorum && only(settings.onSuspendedOutdated, 'disconnect') !== 'force-secondary')
    return [
      warning(
        subject,
        `a suspended Primary that was outdated stays so ${where}: it comes back only by hand`,
        remedy,
      ),
    ];
  return [ok(subject, 'nothing that hangs for ever is configured')];
}

/** The one value; "mixed" where there are several. */
export function only(values: readonly string[], byDefault: string): string {
  const [first, ...more] = values;
  return more.length > 0 ? 'mixed' : (first ?? byDefault);
}

/** Keys whose value in the kernel is not that of the config: somebody forgot `drbdadm adjust`. */
export function differences(kernel: DrbdSettings, config: DrbdSettings): readonly string[] {
  return (Object.keys(KEYS) as (keyof DrbdSettings)[])
    .filter((key) => config[key].length > 0 && kernel[key].length > 0)
    .filter((key) => config[key].toSorted().join() !== kernel[key].toSorted().join())
    .map((key) => KEYS[key]);
}
