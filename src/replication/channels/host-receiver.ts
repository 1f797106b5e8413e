/** The receiver of this host: its commands, its pools, and its agent's word. */
import { systemClock } from '../../clock.ts';
import { agentSocket, type Config, dataNodes } from '../../config/index.ts';
import type { NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { ChildRunner, PoolsReader } from '../../executor/index.ts';
import { deviceFinder } from '../intent-log.ts';
import { localAuthority, Receiver } from '../receiver/index.ts';

export interface HostReceiver {
  readonly receiver: Receiver;
  /** Ends what it has started, but not a receive: that has a signal of its own. */
  stop(): Promise<void>;
}

const END_LIMIT_MS = 100;

/** Throws where this node replicates nothing, or `peer` is not the other data node. */
export function hostReceiver(config: Config, peer: NodeId): HostReceiver {
  if (config.replication === null)
    throw new QuorateError('replication-not-configured', `${config.file} has no "replication"`);
  const nodes = dataNodes(config).map(({ id }) => id);
  if (!nodes.includes(config.node) || !nodes.includes(peer) || peer === config.node)
    throw new QuorateError('usage', `${peer} is not the other data node of ${config.node}`);
  const commands = new ChildRunner(`receiver of ${config.dataDir}`, systemClock);
  const pools = new PoolsReader(config);
  const receiver = new Receiver({
    self: config.node,
    peer,
    pools: config.replication.pools,
    dataDir: config.dataDir,
    authority: localAuthority(agentSocket(config.dataDir)),
    commands,
    clock: systemClock,
    read: () => pools.read(),
    hasDevice: deviceFinder(commands, systemClock),
  });
  const stop = async (): Promise<void> => {
    await Promise.all([pools.stop(), commands.killInFlight(END_LIMIT_MS)]);
  };
  return { receiver, stop };
}
