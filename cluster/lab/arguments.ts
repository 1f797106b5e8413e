/** The command line of `scripts/lab`. Pure. */
import { parseArgs } from 'node:util';
import { ENGINES, type EngineName } from './engine.ts';
import { type CuttableLink, isNode, type NodeName } from './hosts.ts';
import {
  CHANNELS,
  type ChannelName,
  isOnZfs,
  SERVICES,
  type ServiceName,
  STORAGES,
  type StorageName,
  TIMINGS,
  type TimingName,
  WATCHDOGS,
  type WatchdogName,
} from './plan.ts';

export type LabCommand =
  | { readonly kind: 'up'; readonly isBare: boolean }
  | { readonly kind: 'down' | 'status' | 'build-zfs' }
  | {
      readonly kind: 'run';
      readonly scenarios: readonly string[];
      readonly times: number;
      /** Null: drawn anew for each. */
      readonly seed: number | null;
      readonly isJson: boolean;
    }
  | { readonly kind: 'demo' | 'by-hand'; readonly isJson: boolean }
  | { readonly kind: 'shell'; readonly node: NodeName; readonly command: string }
  | { readonly kind: 'cut' | 'heal'; readonly node: NodeName; readonly link: CuttableLink }
  | { readonly kind: 'power-off' | 'power-on' | 'freeze' | 'thaw'; readonly node: NodeName };

export interface Arguments {
  readonly command: LabCommand;
  /** Logs, and the socket by which the other commands find the lab. */
  readonly folder: string | null;
  /** Of a lab that is made. */
  readonly engine: EngineName;
  readonly timing: TimingName;
  readonly storage: StorageName;
  readonly services: ServiceName;
  readonly watchdog: WatchdogName;
  readonly channel: ChannelName;
}

/** What the command line has to know of a scenario. */
export interface KnownScenario {
  readonly name: string;
  readonly storage?: StorageName;
  readonly services?: ServiceName;
}

export const USAGE = `usage: scripts/lab up [--bare]              three guests, with everything; returns when one of them holds; --bare: DRBD only
       scripts/lab run SCENARIO… [--json] [--times N] [--seed N]   or: run all; in the lab that is up, or in one of its own
       scripts/lab demo [--json]                several scenarios, and one table: scripts/demo --real
       scripts/lab by-hand [--json]             a power cut without the product: what its takeover adds
       scripts/lab shell HOST COMMAND           in a guest (a, b, w)
       scripts/lab cut HOST LINK | heal HOST LINK       LINK: repl (replication, agents) or svc (clients)
       scripts/lab power-off HOST | power-on HOST | freeze HOST | thaw HOST
       scripts/lab status | down
       scripts/lab build-zfs                    the ZFS modules for QEMU's guests, once; about 5 minutes
  --engine NAME  of a lab that is made: uml (user-mode Linux, the default), or qemu: slower, and with everything that a host has
  --timing NAME  of a lab that is made: product (the default with uml); patient, where the machine is busy with other things;
                 emulated (the default with qemu)
  --storage NAME of a lab that is made: what is on DRBD: ext4 (the default); raw, the records alone; zfs, a pool (with qemu, after
                 build-zfs); replicated: ext4, and beside it a pool on a disk of each node's own, kept alike by snapshots
  --services NAME of a lab that is made: store (the default), or files: NFS and iSCSI beside it, with clients (with --storage zfs);
                 with --storage replicated NFS on the pool that snapshots keep alike
  --channel NAME of a lab that is made: what carries the snapshots of --storage replicated: ssh (the default), or grpc
  --watchdog off of a lab that is made: without softdog, so that what outlives D ends by sysrq alone (with qemu)
  --folder DIR   for the logs, and where a lab that is up is found (.local/lab of the checkout)
`;

const OWN_TIMING: Readonly<Record<EngineName, TimingName>> = { uml: 'product', qemu: 'emulated' };
const TIMING_NAMES = Object.keys(TIMINGS) as readonly TimingName[];
const STORAGE_NAMES = Object.keys(STORAGES) as readonly StorageName[];

/** Throws a RangeError with one sentence. */
export function parseArguments(words: readonly string[], known: readonly KnownScenario[]): Arguments {
  const { values, positionals } = parse(words);
  const [name = '', ...rest] = positionals;
  const folder = values.folder ?? null;
  const times = Number(values.times ?? 1);
  if (!Number.isSafeInteger(times) || times < 1)
    throw new RangeError(`--times ${values.times}: expected a number from 1`);
  const seed = values.seed === undefined ? null : Number(values.seed);
  if (seed !== null && (!Number.isSafeInteger(seed) || seed < 0))
    throw new RangeError(`--seed ${values.seed}: expected a number from 0`);
  if (name !== 'run' && seed !== null) throw new RangeError('--seed belongs to "run"');
  if (name !== 'run' && values.times !== undefined) throw new RangeError('--times belongs to "run"');
  if (!['run', 'demo', 'by-hand'].includes(name) && values.json === true)
    throw new RangeError('--json belongs to "run", "demo" and "by-hand"');
  if (name !== 'up' && values.bare === true) throw new RangeError('--bare belongs to "up"');
  const named = known.filter((scenario) => name === 'run' && rest.includes(scenario.name));
  const ownStorage = named[0]?.storage;
  const storage = oneOf('--storage', values.storage ?? ownStorage ?? 'ext4', STORAGE_NAMES);
  const engine = oneOf('--engine', values.engine ?? (ownStorage === undefined ? 'uml' : 'qemu'), ENGINES);
  const timing = oneOf('--timing', values.timing ?? OWN_TIMING[engine], TIMING_NAMES);
  if (isOnZfs(storage) && engine !== 'qemu')
    throw new RangeError(
      `--storage ${storage} needs --engine qemu: there is no ZFS for the kernel of user-mode Linux`,
    );
  const ownServices = named.find((scenario) => scenario.services !== undefined)?.services;
  const services = oneOf('--services', values.services ?? ownServices ?? 'store', SERVICES);
  if (services === 'files' && !isOnZfs(storage))
    throw new RangeError('--services files needs --storage zfs or replicated: what is served lies in a pool');
  const watchdog = oneOf('--watchdog', values.watchdog ?? 'softdog', WATCHDOGS);
  if (watchdog === 'off' && engine !== 'qemu')
    throw new RangeError('--watchdog off needs --engine qemu: sysrq does not end user-mode Linux');
  const channel = oneOf('--channel', values.channel ?? 'ssh', CHANNELS);
  if (values.channel !== undefined && storage !== 'replicated')
    throw new RangeError('--channel needs --storage replicated: nothing else is sent');
  return {
    command: commandOf(name, rest, {
      scenarios: known
        .filter((scenario) => isFor(scenario, { storage, services }))
        .map((scenario) => scenario.name),
      times,
      seed,
      isJson: values.json === true,
      isBare: values.bare === true,
    }),
    folder,
    engine,
    timing,
    storage,
    services,
    watchdog,
    channel,
  };
}

/**
 * Those of the storage that they are about, and all others in any but such a lab; those that need services, where these are. Pure.
 */
export const isFor = (
  scenario: KnownScenario,
  { storage, services }: Pick<Arguments, 'storage' | 'services'>,
): boolean => {
  const isOfStorage =
    (scenario.storage ?? 'ext4') === storage || (scenario.storage === undefined && storage !== 'replicated');
  return isOfStorage && (scenario.services === undefined || scenario.services === services);
};

function oneOf<Name extends string>(option: string, word: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === word);
  if (found === undefined)
    throw new RangeError(`${option} ${word}: ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`);
  return found;
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        times: { type: 'string' },
        seed: { type: 'string' },
        folder: { type: 'string' },
        engine: { type: 'string' },
        timing: { type: 'string' },
        storage: { type: 'string' },
        services: { type: 'string' },
        watchdog: { type: 'string' },
        channel: { type: 'string' },
        bare: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new RangeError(error instanceof Error ? error.message : String(error));
  }
}

interface RunOptions {
  readonly scenarios: readonly string[];
  readonly times: number;
  readonly seed: number | null;
  readonly isJson: boolean;
  readonly isBare: boolean;
}

function commandOf(name: string, rest: readonly string[], options: RunOptions): LabCommand {
  switch (name) {
    case 'up':
      exactly(name, rest, 0);
      return { kind: name, isBare: options.isBare };
    case 'down':
    case 'status':
    case 'build-zfs':
      exactly(name, rest, 0);
      return { kind: name };
    case 'run':
      return {
        kind: 'run',
        scenarios: scenariosOf(rest, options.scenarios),
        times: options.times,
        seed: options.seed,
        isJson: options.isJson,
      };
    case 'demo':
    case 'by-hand':
      exactly(name, rest, 0);
      return { kind: name, isJson: options.isJson };
    case 'shell': {
      const [node, ...command] = rest;
      if (command.length === 0) throw new RangeError('shell needs a host and a command');
      return { kind: name, node: nodeOf(node), command: command.join(' ') };
    }
    case 'cut':
    case 'heal':
      exactly(name, rest, 2);
      return { kind: name, node: nodeOf(rest[0]), link: linkOf(rest[1]) };
    case 'power-off':
    case 'power-on':
    case 'freeze':
    case 'thaw':
      exactly(name, rest, 1);
      return { kind: name, node: nodeOf(rest[0]) };
    default:
      throw new RangeError(name === '' ? 'a command is missing' : `unknown command ${name}`);
  }
}

function exactly(name: string, rest: readonly string[], count: number): void {
  if (rest.length !== count)
    throw new RangeError(`${name} takes ${count === 0 ? 'nothing' : `${count} more`}, got ${rest.length}`);
}

function scenariosOf(names: readonly string[], known: readonly string[]): readonly string[] {
  if (names.length === 0) throw new RangeError(`run needs a scenario: all, ${known.join(', ')}`);
  if (names.length === 1 && names[0] === 'all') return known;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new RangeError(
      `no scenario ${unknown}; there are ${known.join(', ')}, with that storage and those services`,
    );
  return names;
}

function nodeOf(word: string | undefined): NodeName {
  if (word === undefined || !isNode(word)) throw new RangeError(`no host ${word ?? ''}: a, b or w`);
  return word;
}

function linkOf(word: string | undefined): CuttableLink {
  if (word !== 'repl' && word !== 'svc') throw new RangeError(`no link ${word ?? ''}: repl or svc`);
  return word;
}
