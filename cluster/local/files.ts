/** What a local cluster writes before it starts: certificates, configs, device files, shims and scripts; what runs on a node. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createAuthority, issueClient, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import {
  createEmptyReplica,
  createReplica,
  type DaemonOptions,
  newGeneration,
  writeShims,
} from './drbd/index.ts';
import { linkHost, type NodeProgram } from './node/index.ts';
import { DRBD_RESOURCE, listedBy, type NodePlan, PORT, planConfig, type TimingPlan } from './plan.ts';
import { type StandbyOptions, writeStoreScripts } from './store/index.ts';

/** A build of the product, as a package installs it on a node. */
export interface Build {
  readonly dist: string;
  /** False for versions that refuse `--supervised`: whatever ends their agent has to start it again. */
  readonly isSupervised: boolean;
}

export interface ClusterSettings {
  readonly name: string;
  readonly network: number;
  readonly directory: string;
  /** Where the bundles are. */
  readonly dist: string;
  /** What a node begins with, where that is not `dist`. */
  readonly builds: Readonly<Record<string, Build>>;
  readonly nodes: readonly NodePlan[];
  readonly timing: TimingPlan;
  readonly watchdogMode: 'required' | 'automatic' | 'off';
  readonly watchdogTimeoutMs: number;
  readonly controllerUrl: string;
  readonly fencing: 'off' | 'after' | 'before';
  readonly drbd: { readonly blocks: number; readonly pingTimeoutMs: number };
  readonly hasAgents: boolean;
}

export const nodeDirectory = (settings: ClusterSettings, id: string): string => join(settings.directory, id);
export const configFile = (settings: ClusterSettings, id: string): string =>
  join(settings.directory, id, 'config.yaml');
export const watchdogSocket = (settings: ClusterSettings, id: string): string =>
  join(settings.directory, id, 'watchdog.sock');

/** Returns an operator's identity. */
export async function writeClusterFiles(
  settings: ClusterSettings,
  pidFile: (id: string, program: string) => string,
): Promise<TlsMaterial> {
  const { directory, name, nodes } = settings;
  const authority = await createAuthority(name);
  const operator = await issueClient(authority, 'admin', 'local-cluster');
  writeFileSync(join(directory, 'ca.pem'), authority.certificate);
  writeFileSync(join(directory, 'operator.pem'), operator.certificate);
  writeFileSync(join(directory, 'operator.key'), operator.key, { mode: 0o600 });
  const generation = newGeneration();
  const spareGeneration = newGeneration();
  for (const node of nodes) {
    const at = (file: string): string => join(directory, node.id, file);
    mkdirSync(at('data'), { recursive: true });
    const pair = await issueNode(authority, node.id, { hosts: [node.host1] });
    writeFileSync(at('node.pem'), pair.certificate);
    writeFileSync(at('node.key'), pair.key, { mode: 0o600 });
    writeConfig(settings, node, pidFile(node.id, 'store'));
    if (!node.isWitness) writeDataNode(settings, node, generation, spareGeneration);
  }
  return { ca: authority.certificate, cert: operator.certificate, key: operator.key };
}

const storeControl = (node: NodePlan) => ({ host: node.host1, port: PORT.storeControl });

function writeConfig(settings: ClusterSettings, node: NodePlan, storePidFile: string): void {
  const { name, network, nodes, timing, watchdogMode, controllerUrl, directory, fencing } = settings;
  const watchdogMs = settings.watchdogTimeoutMs;
  const at = (file: string): string => join(directory, node.id, file);
  const config = planConfig(
    { cluster: name, network, nodes, timing, watchdogMode, watchdogMs, controller: controllerUrl, fencing },
    node,
    {
      dataDir: at('data'),
      ca: join(directory, 'ca.pem'),
      cert: at('node.pem'),
      key: at('node.key'),
      watchdog: watchdogSocket(settings, node.id),
      store: writeStoreScripts(at('bin'), storeControl(node), storePidFile),
    },
  );
  writeFileSync(configFile(settings, node.id), stringify(config));
}

function writeDataNode(
  settings: ClusterSettings,
  node: NodePlan,
  generation: string,
  spareGeneration: string,
): void {
  const at = (file: string): string => join(settings.directory, node.id, file);
  const drbd = drbdOptions(settings, node);
  mkdirSync(drbd.directory, { recursive: true });
  // A spare's disk is empty, as after `drbdadm create-md`: all of it is to be resynced.
  if (node.spareFor === undefined) createReplica(drbd.directory, generation, [spareGeneration]);
  else createEmptyReplica(drbd.directory, spareGeneration);
  writeShims(at('bin'), drbd.control);
  writeFileSync(at('drbd.json'), JSON.stringify(drbd));
  const store: StandbyOptions = {
    control: storeControl(node),
    device: { kind: 'stand-in', ...drbd.device },
    service: { host: node.host2, port: PORT.store },
  };
  writeFileSync(at('store.json'), JSON.stringify(store));
}

function drbdOptions(settings: ClusterSettings, node: NodePlan): DaemonOptions {
  const { nodes, network, directory, drbd } = settings;
  const peer = listedBy(nodes, node).find((other) => !other.isWitness && other.id !== node.id);
  if (peer === undefined) throw new RangeError('the DRBD stand-in needs two data nodes');
  const { host1: host } = node;
  const quorate = `${process.execPath} ${join(buildOf(settings, node.id).dist, 'quorate.mjs')}`;
  return {
    node: node.id,
    peerNode: peer.id,
    resource: DRBD_RESOURCE,
    minor: 0,
    directory: join(directory, node.id, 'drbd'),
    blocks: drbd.blocks,
    listen: { host, port: PORT.replication },
    peer: { host: linkHost(network, node.number, peer.number), port: PORT.replication },
    fencing: 'resource-and-stonith',
    fencePeerCommand: `${quorate} fence-peer --config ${configFile(settings, node.id)}`,
    pingTimeoutMs: drbd.pingTimeoutMs,
    connectIntervalMs: 100,
    control: { host, port: PORT.drbdControl },
    device: { host, port: PORT.device },
  };
}

export function buildOf({ builds, dist }: ClusterSettings, id: string): Build {
  return builds[id] ?? { dist, isSupervised: true };
}

export function agentProgram(settings: ClusterSettings, id: string, build: Build): NodeProgram {
  return {
    name: 'agent',
    script: join(build.dist, 'quorate.mjs'),
    args: ['agent', '--config', configFile(settings, id), ...(build.isSupervised ? ['--supervised'] : [])],
    saysReady: false,
    isRespawned: false,
  };
}

/** In the order of their start at boot. */
export function nodePrograms(settings: ClusterSettings, node: NodePlan): NodeProgram[] {
  const at = (file: string): string => join(settings.directory, node.id, file);
  const script = (name: string): string => join(settings.dist, `${name}.mjs`);
  const drbd: NodeProgram = {
    name: 'drbd',
    script: script('local-drbd'),
    args: [at('drbd.json')],
    saysReady: true,
    isRespawned: false,
  };
  const store: NodeProgram = {
    name: 'store',
    script: script('local-store'),
    args: [at('store.json')],
    saysReady: false,
    isRespawned: true,
  };
  const agent = agentProgram(settings, node.id, buildOf(settings, node.id));
  return [...(node.isWitness ? [] : [drbd, store]), ...(settings.hasAgents ? [agent] : [])];
}

export function nodeEnvironment(settings: ClusterSettings, node: NodePlan): Record<string, string> {
  const directory = nodeDirectory(settings, node.id);
  return {
    PATH: `${join(directory, 'bin')}:${process.env.PATH ?? '/usr/bin:/bin'}`,
    HOME: directory,
    TMPDIR: directory,
    // Any key will do for the embedded controller; nothing of the user's own account may be read.
    AWS_ACCESS_KEY_ID: `LOCAL${node.id.toUpperCase()}`,
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
}
