/** The replicator as it is, but for its channel and its ZFS: both are stand-ins on this host. */
import { systemClock } from '../../../src/clock.ts';
import type { Config } from '../../../src/config/index.ts';
import { runReplicator } from '../../../src/replicator/run.ts';
import { LocalChannel } from '../../replication/support/local-channel.ts';
import { commandsOf, KERNEL } from '../../replication/support/stand-in.ts';

const keep = { last: 1000, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const policy = { periodMs: Number(process.env.TEST_PERIOD_MS), keep, keepCopy: keep, windows: [] };
const directory = process.env.TEST_WORLD ?? '';

const code = await runReplicator({
  // Only what it reads of it.
  config: {
    node: 'a',
    members: ['a', 'b'].map((id) => ({ id, witness: false })),
    resources: [{ name: 'tank', kind: 'replicated-pool', pool: 'tank' }],
    replication: {
      pools: ['tank'],
      include: [],
      exclude: [],
      send: { policy, overrides: [], bytesPerSecond: null, answerMs: 30_000 },
    },
  } as unknown as Config,
  openChannel: async () => {
    if (process.env.TEST_NO_CHANNEL !== undefined) throw new Error('no way to b');
    return new LocalChannel({ host: { bin: `${directory}/b/bin`, directory: `${directory}/b` } });
  },
  commands: commandsOf({ directory: `${directory}/a` }),
  kernel: KERNEL,
  clock: systemClock,
  orders: process.stdin,
  reports: process.stdout,
});
process.stdout.write('', () => {
  if (code === 0) process.kill(-process.pid, 'SIGKILL');
  process.exit(code);
});
