/** The channel that the config names, to the other data node. */
import { type Config, dataNodes } from '../../config/index.ts';
import type { NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { ReceiverChannel } from '../channel.ts';
import { otherDataNode } from '../discover.ts';
import { openGrpcChannel } from './grpc-channel.ts';
import { readPublicKey, readText } from './pairing/index.ts';
import { sshPaths } from './paths.ts';
import { SshChannel } from './ssh-channel.ts';

/**
 * Nothing is dialled yet. Throws `replication-not-configured`, `replication-unpaired`, or what is wrong with the
 * certificates.
 */
export async function openChannel(config: Config): Promise<ReceiverChannel> {
  const channel = config.replication?.channel ?? null;
  if (channel === null)
    throw new QuorateError('replication-not-configured', `${config.file} has no "replication.channel"`);
  return channel.kind === 'ssh' ? openSshChannel(config) : openGrpcChannel(config, channel, peerOf(config));
}

/** Throws `replication-unpaired` where `quorate replication pair` was not run here. */
export async function openSshChannel(config: Config): Promise<SshChannel> {
  const channel = config.replication?.channel ?? null;
  if (channel?.kind !== 'ssh') throw new QuorateError('usage', 'replication.channel is not "kind: ssh"');
  const paths = sshPaths(config.dataDir);
  if ((await readPublicKey(paths)) === null)
    throw new QuorateError('replication-unpaired', `there is no ${paths.key}`);
  if ((await readText(paths.knownHosts)) === null)
    throw new QuorateError('replication-unpaired', `there is no ${paths.knownHosts}`);
  return new SshChannel({ cluster: config.cluster, to: peerOf(config), channel, paths }, config.node);
}

function peerOf(config: Config): NodeId {
  if (!dataNodes(config).some(({ id }) => id === config.node))
    throw new QuorateError('usage', `${config.node} is the witness and has no pools`);
  return otherDataNode(config, config.node);
}
