/** Which channel the config names. */
import type { Config } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import type { ReceiverChannel } from '../replication/index.ts';

/** Rejects where this version has none, or it cannot be opened. */
export async function openChannel(config: Config, _signal: AbortSignal): Promise<ReceiverChannel> {
  throw new QuorateError(
    'replication-channel-missing',
    `${config.node} has no channel to the other data node: this version has none yet`,
  );
}
