/** Pools that snapshots keep alike: there all the time, and recent enough for a takeover by itself (`max_data_loss`). */
import { copyWordsCommand, parseCopyWords } from '../replication/index.ts';
import { copyLoss, whyTooMuchIsLost } from '../state/index.ts';
import { ask, complaint, ofKind } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';

export const replicatedCheck: Check = {
  name: 'replicated',
  about:
    'whether every pool that is replicated by snapshots is imported, and what a takeover by this node would lose',
  isAlone: false,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const pools = ofKind(context.config, 'replicated-pool').map(({ pool }) => pool);
    if (pools.length === 0) return [skipped('pools', 'no pool of this node is replicated by snapshots')];
    return (await Promise.all(pools.map((pool) => look(context, pool)))).flat();
  },
};

async function look(context: CheckContext, pool: string): Promise<readonly Finding[]> {
  const subject = `${pool} imported`;
  const state = (await context.files.read(`/proc/spl/kstat/zfs/${pool}/state`))?.trim();
  if (state === undefined)
    return [
      failed(
        subject,
        'it is not, and no takeover imports it',
        `Run "zpool import ${pool}", and "systemctl enable zfs-import-cache.service" for the next boot.`,
      ),
    ];
  // Of a pool that waits for a lost disk no command comes back.
  if (state !== 'ONLINE' && state !== 'DEGRADED')
    return [failed(subject, `the pool is ${state}`, 'See "zpool status" and the kernel\'s log.')];
  return [ok(subject, state), await loss(context, pool)];
}

/** A warning: a switchover sends what is missing first, so the node is fit for that all the same. */
async function loss(context: CheckContext, pool: string): Promise<Finding> {
  const subject = `${pool} loss`;
  const { config, clock } = context;
  if (config.node === null) return unknown(subject, 'which node this is, is not known');
  const told = await ask(context, copyWordsCommand(pool));
  if (told.kind !== 'said' || told.code !== 0) return unknown(subject, complaint('zfs get', told));
  const words = parseCopyWords(pool, told.stdout);
  if (words === null) return unknown(subject, 'what the pool says of itself is not understood');
  const entries = await context.entries().catch(() => null);
  if (entries === null) return unknown(subject, 'the log cannot be read');
  const found = copyLoss(entries, config.node, words, clock.wallMs());
  const why = whyTooMuchIsLost(found, config.maxDataLossMs);
  return why === null
    ? ok(subject, found.kind === 'since' ? `up to ${Math.ceil(found.ageMs / 1000)} s` : 'nothing')
    : warning(
        subject,
        `this node would not take over by itself: ${why}`,
        'See "quorate replication discover"; a longer max_data_loss, or "quorate failover --accept-data-loss" when the other node is gone for good.',
      );
}
