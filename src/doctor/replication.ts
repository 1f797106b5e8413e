/**
 * The channel of the replication by snapshots: do the two data nodes know each other, and does the other one answer. Not among
 * what the executor runs by itself: a failed check there keeps a takeover away from a node (H6), and this one must not.
 */
import { dataNodes, type GrpcChannelConfig, type SshChannelConfig } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { ask, complaint, isWitness, words } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown } from './report.ts';
import { reason } from './run.ts';

const PAIR = 'Run "quorate replication pair" on one of the two data nodes.';
const HANDSHAKE_LIMIT_MS = 3000;

export const replicationCheck: Check = {
  name: 'replication',
  about:
    'the channel to the other data node: own key, pinned host keys, its line here, and whether it answers',
  isAlone: false,
  isHarmless: false,
  limitMs: 10_000,
  run: async (context) => {
    const { config } = context;
    const channel = config.replication?.channel ?? null;
    if (channel === null || isWitness(config)) return [skipped('channel', 'no channel on this node')];
    const peer = dataNodes(config).find(({ id }) => id !== config.node)?.id;
    if (peer === undefined) return [skipped('channel', 'there is no other data node')];
    return channel.kind === 'ssh' ? ssh(context, channel, peer) : [await grpc(context, channel, peer)];
  },
};

async function ssh(
  context: CheckContext,
  channel: SshChannelConfig,
  peer: NodeId,
): Promise<readonly Finding[]> {
  const { config, files } = context;
  // gRPC comes with it: not before it is needed.
  const { authorizedPath, hostKeyAlias, markerOf, sshPaths } = await import(
    '../replication/channels/index.ts'
  );
  const paths = sshPaths(config.dataDir);
  const { cluster } = config;
  const key =
    (await files.kindOf(paths.key)) === null
      ? failed('key', `there is no ${paths.key}, or it cannot be read`, PAIR)
      : ok('key', paths.key);
  const known = await files.read(paths.knownHosts);
  const isKnown =
    known?.split('\n').some((line) => line.startsWith(`${hostKeyAlias(cluster, peer)} `)) ?? false;
  const pinned = isKnown
    ? ok(`host keys of ${peer}`, `pinned in ${paths.knownHosts}`)
    : failed(`host keys of ${peer}`, `${paths.knownHosts} has none`, PAIR);
  const path = authorizedPath((await files.read('/etc/passwd')) ?? '', channel);
  const findings = [key, pinned, await authorised(context, peer, path, markerOf({ cluster, peer }))];
  const isPaired = findings.every(({ result }) => result === 'ok');
  return [
    ...findings,
    isPaired ? await answers(context, channel, peer) : skipped(`ssh to ${peer}`, 'not paired'),
  ];
}

async function authorised(
  { files }: CheckContext,
  peer: NodeId,
  path: string | null,
  marker: string,
): Promise<Finding> {
  const subject = `key of ${peer}`;
  if (path === null)
    return failed(
      subject,
      'there is no user replication.channel.user with a home',
      'Correct replication.channel.user.',
    );
  const text = await files.read(path);
  if (text === null) return failed(subject, `${path} is not there, or cannot be read`, PAIR);
  return text.split('\n').some((line) => line.startsWith('restrict,command=') && line.endsWith(` ${marker}`))
    ? ok(subject, `authorised in ${path}, for the replication only`)
    : failed(subject, `${path} has no line for it`, PAIR);
}

async function answers(context: CheckContext, channel: SshChannelConfig, peer: NodeId): Promise<Finding> {
  const { config } = context;
  const subject = `ssh to ${peer}`;
  const { commandOf, readAnswer, sshArguments, sshPaths } = await import('../replication/channels/index.ts');
  const { cluster, node } = config;
  const target = { cluster, to: peer, channel, paths: sshPaths(config.dataDir) };
  const command = commandOf('probe', { cluster, from: node, to: peer });
  const told = await ask(context, ['ssh', ...sshArguments(target, command)]);
  if (told.kind === 'missing') return failed(subject, complaint('ssh', told), 'Install openssh-client.');
  if (told.kind === 'silent') return unknown(subject, `${peer} has not answered within 3 s`);
  const answer = readAnswer(told.stdout.trim());
  if (answer?.kind === 'probed') return ok(subject, `${answer.node} answers, quorate ${answer.version}`);
  const why = answer?.kind === 'failed' ? words(answer.why) : complaint('ssh', told);
  return failed(subject, why, PAIR);
}

/** Its receiver shows the certificate of its node, and takes this one's. */
async function grpc(context: CheckContext, channel: GrpcChannelConfig, peer: NodeId): Promise<Finding> {
  const { config, network, signal } = context;
  const subject = `receiver of ${peer}`;
  const remedy = `See whether its executor runs, and what it logs of its receiver; check the firewall for port ${channel.port}.`;
  const address = { host: channel.hosts[peer] ?? '', port: channel.port };
  try {
    const { identity } = await network.certificateOf(address, HANDSHAKE_LIMIT_MS, signal);
    const wanted = `quorate://${config.cluster}/${peer}`;
    return identity === wanted
      ? ok(subject, `answers on ${address.host}, port ${address.port}`)
      : failed(subject, `on ${address.host}, port ${address.port} is ${identity ?? 'somebody else'}`, remedy);
  } catch (error) {
    return failed(subject, reason(error), remedy);
  }
}
