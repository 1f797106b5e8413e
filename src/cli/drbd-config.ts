/** `quorate drbd-config`: the resource file that DRBD needs, from what Quorate's own config says and what only the host knows. */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Config, dataNodes, loadConfig, type MemberConfig, parseAddress } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import type { DrbdFile, DrbdFileHost } from '../resources/index.ts';

export interface DrbdConfigOptions {
  readonly config: string;
  readonly node?: string;
  readonly resource?: string;
  readonly drbd: DrbdFile['version'];
  readonly disk?: readonly string[];
  readonly metaDisk: readonly string[];
  readonly address?: readonly string[];
  readonly port?: number;
  readonly minor?: number;
  readonly handler?: string;
  readonly tieBreaker: boolean;
}

const FIRST_PORT = 7789;
const FIRST_MINOR = 0;
const MAX_PORT = 65_535;
const MAX_MINOR = 65_535;
/** Of a resource; DRBD knows more. */
const MAX_VOLUMES = 16;

export function registerDrbdConfig(program: Command): void {
  program
    .command('drbd-config')
    .description("write a DRBD resource file that fits the cluster's config and its rules, to stdout")
    .requiredOption('--config <file>', 'config file of a node, at the place where the hosts have it')
    .option('--node <id>', 'the node, where the config file does not say it')
    .option('--resource <name>', "DRBD's name of the resource, where the config has several")
    .addOption(
      new Option('--drbd <version>', 'version of the kernel module (9: untested)')
        .choices(['8.4', '9'])
        .default('8.4'),
    )
    .option('--disk <[node=]path...>', 'backing device; with commas: one for each volume')
    .option('--meta-disk <[node=]path...>', 'where DRBD keeps its own data, as --disk', ['internal'])
    .option('--address <node=ip...>', "replication address, where it is not the node's peer address")
    .option('--port <n>', `TCP port of the resource (${FIRST_PORT})`, wholeNumber(1, MAX_PORT))
    .option('--minor <n>', `number of its first /dev/drbdN (${FIRST_MINOR})`, wholeNumber(0, MAX_MINOR))
    .option('--handler <command>', 'command line of `quorate fence-peer` on the hosts')
    .option('--no-tie-breaker', 'with --drbd 9: leave the witness out, and with it the quorum of DRBD')
    .action(async (options: DrbdConfigOptions) => {
      const config = loadConfig(options.config, { node: options.node, needsTls: false });
      const { renderDrbdFile } = await import('../resources/index.ts');
      process.stdout.write(renderDrbdFile(planDrbdFile(config, options)));
    });
}

const wholeNumber =
  (min: number, max: number) =>
  (value: string): number => {
    const number = Number(value);
    if (!/^\d{1,6}$/.test(value) || number < min || number > max)
      throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
    return number;
  };

export function planDrbdFile(config: Config, options: DrbdConfigOptions): DrbdFile {
  const resource = chosen(config, options);
  const nodes = dataNodes(config);
  // 8.4 connects two hosts, and what Quorate needs beyond them for 9 is not written yet.
  if (nodes.length !== 2) throw usage(`a resource has two nodes with a disk, the config has ${nodes.length}`);
  const addresses = perNode(config, '--address', options.address ?? []);
  const disks = perNode(config, '--disk', options.disk ?? []);
  const metaDisks = perNode(config, '--meta-disk', options.metaDisk);
  const hosts = nodes.map((node): DrbdFileHost => {
    const own = devices('--disk', node, disks);
    const meta = devices('--meta-disk', node, metaDisks);
    if (meta.length !== 1 && meta.length !== own.length)
      throw usage(`--meta-disk: ${meta.length} for the ${own.length} disks of "${node.id}"`);
    return {
      name: node.id,
      address: addressOf(node, addresses),
      volumes: own.map((path, volume) => ({ disk: path, metaDisk: metaOf(meta, volume) })),
    };
  });
  if (new Set(hosts.map(({ volumes }) => volumes.length)).size > 1)
    throw usage('--disk: both nodes need the same number of disks, one for each volume');
  const witness = config.members.find((member) => member.witness);
  const hasTieBreaker = options.drbd === '9' && options.tieBreaker && witness !== undefined;
  return {
    resource,
    version: options.drbd,
    hosts,
    tieBreaker: hasTieBreaker ? { name: witness.id, address: addressOf(witness, addresses) } : null,
    port: options.port ?? FIRST_PORT,
    minor: options.minor ?? FIRST_MINOR,
    handler: handlerOf(options),
    leaseMs: config.timing.leaseMs,
  };
}

/** Which of the config's DRBD resources; of several none may get the port and the device of another by default. */
function chosen(config: Config, { resource, port, minor }: DrbdConfigOptions): string {
  const names = config.resources.flatMap((one) => (one.kind === 'drbd' ? [one.resource] : []));
  const [first, ...more] = names;
  if (first === undefined) throw usage('the config has no resource of the kind drbd');
  if (resource === undefined && more.length > 0)
    throw usage(`--resource: the config has several, name one of ${names.join(', ')}`);
  const name = resource ?? first;
  if (!names.includes(name))
    throw usage(`--resource: the config has no DRBD resource "${name}", only ${names.join(', ')}`);
  if (more.length > 0 && (port === undefined || minor === undefined))
    throw usage(
      `the config does not say the port and the device numbers of ${names.length} resources: give --port and --minor, of which no two share one`,
    );
  return name;
}

/** Values by node; those under `null` are for every node that has none of its own. */
type PerNode = ReadonlyMap<string | null, string>;

function perNode(config: Config, option: string, words: readonly string[]): PerNode {
  const values = new Map<string | null, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    // A path may have the sign in it, as those of /dev/disk/by-id.
    const node = at < 1 || word.startsWith('/') ? null : word.slice(0, at);
    const member = config.members.find(({ id }) => id === node);
    if (node !== null && member === undefined)
      throw usage(`${option}: "${node}" is no member of the cluster`);
    if (member?.witness === true && option !== '--address')
      throw usage(`${option}: "${node}" is the witness, which has no disk`);
    if (values.has(node))
      throw usage(
        `${option}: given twice for ${node === null ? 'all nodes' : `"${node}"`} (volumes are separated by commas)`,
      );
    values.set(node, node === null ? word : word.slice(at + 1));
  }
  return values;
}

function devices(option: string, { id }: MemberConfig, values: PerNode): readonly string[] {
  const value = values.get(id) ?? values.get(null);
  if (value === undefined)
    throw usage(`the config does not say the disk of "${id}": give ${option} PATH, or ${option} ${id}=PATH`);
  const paths = value.split(',');
  if (paths.length > MAX_VOLUMES) throw usage(`${option}: at most ${MAX_VOLUMES} volumes`);
  for (const path of paths)
    if (!/^\/[^\s"';{}#\\]+$/.test(path) && !(option === '--meta-disk' && path === 'internal'))
      throw usage(`${option}: "${path}" is not the absolute path of a device`);
  if (new Set(paths).size < paths.length && !paths.includes('internal'))
    throw usage(`${option}: the same device twice for "${id}"`);
  return paths;
}

/** One for all volumes is only possible inside of each. */
function metaOf(meta: readonly string[], volume: number): string {
  const own = meta[volume] ?? (meta[0] === 'internal' ? 'internal' : undefined);
  if (own === undefined) throw usage('--meta-disk: one device for each volume, or internal');
  return own;
}

function addressOf({ id, peer }: MemberConfig, addresses: PerNode): string {
  if (addresses.has(null)) throw usage('--address: as NODE=IP');
  const given = addresses.get(id);
  if (given !== undefined) {
    if (isIP(given) === 0) throw usage(`--address: "${given}" is not an IP address`);
    return given;
  }
  const parsed = parseAddress(peer);
  const host = parsed.ok ? parsed.value.host : peer;
  if (isIP(host) === 0)
    throw usage(
      `DRBD needs an IP address, and the peer address of "${id}" is ${peer}: give --address ${id}=IP`,
    );
  return host;
}

/** Where the Debian package has put it, or the archive's installer: DRBD's handler that is not there leaves all I/O suspended. */
export function commandOfHost(isThere: (path: string) => boolean = existsSync): string {
  return isThere('/usr/bin/quorate') ? '/usr/bin/quorate' : '/usr/local/bin/quorate';
}

function handlerOf({ handler, config }: DrbdConfigOptions): string {
  const command = handler ?? `${commandOfHost()} fence-peer --config ${resolve(config)}`;
  // It stands in quotes, and DRBD gives it to a shell.
  if (/["\n\\]/.test(command)) throw usage(`--handler: ${command} has a sign that DRBD's files cannot have`);
  return command;
}

const usage = (message: string): QuorateError => new QuorateError('usage', message);
