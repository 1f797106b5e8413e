import { ChannelSpeed } from '../replication/index.ts';
import type { Scenario } from '../stage.ts';

export const replicationThroughput: Scenario = {
  name: 'replication-throughput',
  about:
    'A file system is copied by the product, and before and after that by "zfs send | ssh | zfs receive" between the same guests. Nothing fails in it; it says how long each took, as the receiving pool wrote it down.',
  storage: 'replicated',
  run: (stage) => new ChannelSpeed(stage).compare(),
};
