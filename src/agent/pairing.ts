/** The other data node's operator pairs the replication: the keys of that node are taken in, and the own ones said. */
import type { Logger } from 'pino';
import { type Config, dataNodes } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { PairAnswer, PairRequest } from '../peer/index.ts';

/** The certificate has shown who asks; that this node's own config wants SSH is the consent of its operator. */
export async function pairWith(
  config: Config,
  from: NodeId,
  request: PairRequest,
  log: Pick<Logger, 'warn'>,
): Promise<PairAnswer> {
  if (!dataNodes(config).some(({ id }) => id === from))
    throw new QuorateError('peer-refused', `${from} is no data node`);
  // Loaded here: hardly any agent is ever asked.
  const { acceptOffer, ownCommand } = await import('../replication/channels/pairing/index.ts');
  const { isDryRun, ...offer } = request;
  const { own, changes } = await acceptOffer({ config, peer: from, command: ownCommand() }, offer, isDryRun);
  if (!isDryRun)
    log.warn(
      { event: 'replication-paired', node: from, changes },
      `${from} has paired with this node: ${changes.length === 0 ? 'nothing was new' : changes.join('; ')}`,
    );
  return { ...own, changes };
}
