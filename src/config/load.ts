/** Reads a config file: YAML with positions, then sections, then relations. Every error is reported, with its line. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { durationMs, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { readAlerts } from './alerts.ts';
import {
  checkFencing,
  checkListeners,
  checkMembers,
  checkReplicatedPools,
  checkReplication,
  checkSelf,
  checkTiming,
  checkTls,
} from './checks.ts';
import {
  type Config,
  type FencingConfig,
  isCloud,
  type MemberConfig,
  type ResourceConfig,
  type TimingConfig,
  type TlsFiles,
  type WatchdogConfig,
} from './config.ts';
import type { NamedMember } from './per-node.ts';
import { Problems } from './problems.ts';
import { replicationOf } from './replication.ts';
import { readResources } from './resources.ts';
import { show } from './scalars.ts';
import * as schema from './schema.ts';
import { filePath, HINT_MARK } from './schema-parts.ts';
import { readSection, reportUnknownKey } from './sections.ts';

const MAX_FILE_BYTES = 1_048_576;
/** `sun_path` of Linux holds 107 bytes and a zero. */
const MAX_SOCKET_PATH_BYTES = 107;

export interface LoadOptions {
  /** Overrides the file's `node` (`--node`). */
  readonly node?: string | undefined;
  /** What the command calls that option, where `--node` means something else. */
  readonly nodeOption?: string | undefined;
  /** False where nothing is said to anybody: the files under `tls` need not be there. */
  readonly needsTls?: boolean;
}

/** The checked config of `file`. Throws `config-invalid` whose context's `problems` are the lines to print. */
export function loadConfig(file: string, options: LoadOptions = {}): Config {
  const path = resolve(file);
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw invalid([`${file}:1: the file is larger than 1 MiB`]);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new QuorateError('config-unreadable', `cannot read ${file}: ${reason}`, { cause: error });
  }
  const result = parseConfig(text, file, options);
  if (result.config === null) throw invalid(result.problems);
  return result.config;
}

function invalid(problems: readonly string[]): QuorateError {
  return new QuorateError('config-invalid', problems.join('; '), { context: { problems } });
}

export type ParseResult =
  | { readonly config: Config; readonly problems: readonly [] }
  | { readonly config: null; readonly problems: readonly string[] };

/** `file` names the source in errors; relative paths in the text are relative to its directory. */
export function parseConfig(text: string, file: string, options: LoadOptions = {}): ParseResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  const problems = new Problems(document, lines);
  const syntax = [...document.errors, ...document.warnings];
  for (const error of syntax) {
    const { line } = lines.linePos(error.pos[0]);
    problems.addAt(line, error.code === 'DUPLICATE_KEY' ? duplicateKey(text, error.pos[0]) : error.message);
  }
  if (syntax.some((error) => error.code !== 'DUPLICATE_KEY'))
    return { config: null, problems: problems.render(file) };
  if (!isMap(document.contents)) {
    problems.addAt(
      1,
      `expected a map of settings, got ${document.contents === null ? 'an empty file' : 'something else'} (see docs/configuration.md)`,
    );
    return { config: null, problems: problems.render(file) };
  }
  let root: Record<string, unknown>;
  try {
    root = document.toJS({ maxAliasCount: 100 }) as Record<string, unknown>;
  } catch (error) {
    problems.addAt(1, error instanceof Error ? error.message : String(error));
    return { config: null, problems: problems.render(file) };
  }
  const config = readRoot(root, resolve(file), options, problems);
  if (config === null || !problems.isEmpty) return { config: null, problems: problems.render(file) };
  return { config, problems: [] };
}

function duplicateKey(text: string, offset: number): string {
  const key = /^[^:\s]+/.exec(text.slice(offset))?.[0] ?? '';
  return `${key}: this key is already there (remove one of them)`;
}

function readRoot(
  root: Record<string, unknown>,
  file: string,
  options: LoadOptions,
  problems: Problems,
): Config | null {
  const known: readonly string[] = schema.TOP_LEVEL_KEYS;
  for (const key of Object.keys(root)) if (!known.includes(key)) reportUnknownKey(problems, [], key, known);
  const base = dirname(file);
  const required = <Schema extends z.ZodType>(key: string, section: Schema) =>
    readSection(section, root[key], [key], problems);
  /** An absent section is an empty one: its defaults apply. */
  const optional = <Schema extends z.ZodType>(key: string, section: Schema) =>
    readSection(section, root[key] === undefined ? {} : root[key], [key], problems);

  const cluster = required('cluster', schema.clusterName);
  const node = readNode(root, options, problems);
  const dataDir = readDataDir(required('data_dir', filePath), base, problems);
  const { members, named } = readMembers(root.members, problems);
  checkSelf(
    node,
    options.node === undefined ? null : (options.nodeOption ?? '--node'),
    named.map(({ id }) => id),
    problems,
  );
  const watchdog = watchdogOf(optional('watchdog', schema.watchdogSection), base);
  const timing = timingOf(optional('timing', schema.timingSection));
  if (timing !== null)
    checkTiming(timing, watchdog === null || watchdog.mode === 'off' ? null : watchdog.timeoutMs, problems);
  const tls = tlsOf(required('tls', schema.tlsSection), base);
  if (tls !== null && options.needsTls !== false) checkTls(tls, problems);
  const admin = required('admin', schema.listenSection);
  const http = root.http === undefined ? null : required('http', schema.listenSection);
  const own = members.find((member) => member.id === node) ?? null;
  checkListeners(own, admin?.listen ?? null, http?.listen ?? null, problems);
  const fencing = optional('fencing', schema.fencingSection);
  const maxDataLossMs =
    root.max_data_loss === undefined ? durationMs(0) : required('max_data_loss', schema.maxDataLoss);
  const cloud = optional('cloud', schema.cloudSection);
  const context = { members: named, self: node, problems };
  const resources = readResources(root.resources, context);
  if (dataDir !== null) checkDataDir(dataDir, resources, problems);
  if (fencing !== null) checkFencing(fencing, context);
  const section = root.replication === undefined ? null : required('replication', schema.replicationSection);
  const replication = section === null ? null : replicationOf(section, members, base, problems);
  if (replication !== null) checkReplication(replication, context);
  const alerts = readAlerts(root.alerts, base, problems);
  if (replication !== null || root.replication === undefined)
    checkReplicatedPools(resources, replication, problems);
  const needsRegion = resources.find(isCloud)?.name ?? (fencing?.instances && 'fencing');
  if (cloud !== null && cloud.region === null && needsRegion !== undefined)
    problems.add(
      ['cloud', 'region'],
      `is missing, and "${needsRegion}" needs it`,
      'as "cloud: {region: us-east-1}"',
    );

  const parts = { cluster, node, dataDir, timing, tls, admin, watchdog, fencing, maxDataLossMs, cloud };
  if (!isComplete(parts)) return null;
  const { fencing: fence, ...rest } = parts;
  return { file, ...rest, members, http, alerts, fencing: fencingOf(fence), resources, replication };
}

type Complete<Parts> = { [Key in keyof Parts]: NonNullable<Parts[Key]> };

function isComplete<Parts extends object>(parts: Parts): parts is Complete<Parts> & Parts {
  return Object.values(parts).every((part) => part !== null);
}

function readNode(root: Record<string, unknown>, options: LoadOptions, problems: Problems): NodeId | null {
  const nodeOption = options.nodeOption ?? '--node';
  if (options.node !== undefined) {
    const result = schema.nodeName.safeParse(options.node);
    if (result.success) return result.data;
    problems.addAt(
      1,
      `${nodeOption}: ${result.error.issues[0]?.message.split(HINT_MARK)[0] ?? 'not a node id'}`,
    );
    return null;
  }
  if (root.node === undefined) {
    problems.add(['node'], 'is missing', `say which member this node is, here or with ${nodeOption}`);
    return null;
  }
  return readSection(schema.nodeName, root.node, ['node'], problems);
}

function readDataDir(value: string | null, base: string, problems: Problems): string | null {
  if (value === null) return null;
  const path = resolve(base, value);
  const bytes = Buffer.byteLength(`${path}/agent.sock`);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    problems.add(
      ['data_dir'],
      `${path} is too long for the agent's unix socket in it`,
      `${bytes - MAX_SOCKET_PATH_BYTES} bytes less`,
    );
  }
  return path;
}

/** It must be there whoever holds the mount, and what is open in it would keep the mount busy. */
function checkDataDir(dataDir: string, resources: readonly ResourceConfig[], problems: Problems): void {
  const over = resources.find(
    (resource) => resource.kind === 'mount' && `${dataDir}/`.startsWith(`${resource.mountPoint}/`),
  );
  if (over?.kind === 'mount')
    problems.add(
      ['data_dir'],
      `${dataDir} lies on ${over.mountPoint}, which "${over.name}" mounts and unmounts`,
      'a directory on the disk of the host itself',
    );
}

function readMembers(value: unknown, problems: Problems): { members: MemberConfig[]; named: NamedMember[] } {
  const example = 'as "a: {zone: us-east-1a, peer: 10.0.1.10:7400}"';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.add(
      ['members'],
      value === undefined ? 'is missing' : `expected a map, got ${show(value)}`,
      example,
    );
    return { members: [], named: [] };
  }
  const entries = Object.entries(value);
  if (entries.length === 0) problems.add(['members'], 'is empty', example);
  const members: MemberConfig[] = [];
  for (const [key, raw] of entries) {
    const path = ['members', key];
    const id = readSection(schema.nodeName, key, path, problems);
    const section = readSection(schema.memberSection, raw, path, problems);
    if (id === null || section === null) continue;
    members.push({ id, zone: section.zone ?? null, peer: section.peer, witness: section.witness });
  }
  checkMembers(members, entries.length, problems);
  const named = entries.map(([id, raw]) => ({
    id,
    witness: isMarkedWitness(raw),
    zone: members.find((member) => member.id === id)?.zone ?? null,
  }));
  return { members, named };
}

const isMarkedWitness = (raw: unknown): boolean =>
  typeof raw === 'object' && raw !== null && 'witness' in raw && raw.witness !== false;

function timingOf(section: z.output<typeof schema.timingSection> | null): TimingConfig | null {
  if (section === null) return null;
  return {
    heartbeatMs: section.heartbeat,
    leaseMs: section.lease,
    releaseMs: section.release,
    guardMs: section.guard,
    clockErrorRate: section.clock_error,
    promiseMs: section.promise ?? null,
  };
}

function fencingOf(section: z.output<typeof schema.fencingSection>): FencingConfig {
  return {
    ec2Stop: section.ec2_stop,
    instances: section.instances ?? {},
    isolationGroup: section.isolation_group ?? null,
  };
}

function watchdogOf(
  section: z.output<typeof schema.watchdogSection> | null,
  base: string,
): WatchdogConfig | null {
  if (section === null) return null;
  return { device: resolve(base, section.device), mode: section.mode, timeoutMs: section.timeout ?? null };
}

function tlsOf(section: z.output<typeof schema.tlsSection> | null, base: string): TlsFiles | null {
  if (section === null) return null;
  return {
    ca: resolve(base, section.ca),
    cert: resolve(base, section.cert),
    key: resolve(base, section.key),
  };
}
