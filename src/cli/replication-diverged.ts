/** `quorate replication diverged list` and `diff`: what this node has kept of its own earlier tenures. They change nothing. */
import type { Command } from 'commander';
import type { Config } from '../config/index.ts';
import { instant } from '../core/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import { type Kept, keptIn, readAside } from '../replication/index.ts';
import { type CommandRunner, commandError, exitError } from '../resources/index.ts';
import { ExitWith } from './exit-with.ts';
import {
  type KeptOptions as Options,
  type KeptParts as Parts,
  withKeptConfig,
  withPools,
} from './kept-pools.ts';
import { paintFor, printJson, table } from './output.ts';
import { registerDrop } from './replication-drop.ts';

/** `zfs diff` walks through everything that has changed. */
const DIFF_LIMIT_MS = 600_000;
const MAX_DIFF_BYTES = 16 * 1024 * 1024;

export interface DivergedDocument {
  readonly pools: readonly {
    readonly pool: string;
    /** Why it could not be read; then nothing is known of what is kept. */
    readonly why: string | null;
    readonly kept: readonly Kept[];
  }[];
}

export function registerDiverged(group: Command): void {
  const diverged = group
    .command('diverged')
    .description('what this node has kept of its own earlier tenures, and no other node has');
  withKeptConfig(
    diverged.command('list').description('list it; exit code 1 where a pool could not be read'),
  ).action((options: Options) => withPools(options, (config, parts) => list(config, options, parts)));
  withKeptConfig(
    diverged
      .command('diff')
      .description('what is different in it: files by their names, volumes by their bytes')
      .argument('<dataset>', 'as "list" names it'),
  ).action((dataset: string, options: Options) =>
    withPools(options, (config, parts) => diff(config, dataset, options, parts)),
  );
  registerDrop(diverged);
}

export async function list(config: Config, { json }: Pick<Options, 'json'>, parts: Parts): Promise<void> {
  const document = await read(config, parts);
  if (json === true) printJson(document);
  else process.stdout.write(`${render(document).join('\n')}\n`);
  if (document.pools.some(({ why }) => why !== null)) throw new ExitWith(EXIT.failed);
}

async function read({ file, replication }: Config, parts: Parts): Promise<DivergedDocument> {
  if (replication === null)
    throw new QuorateError('replication-not-configured', `${file} has no "replication"`);
  const pools = await Promise.all(
    replication.pools.map(async (pool) => {
      try {
        return { pool, why: null, kept: keptIn(await readAside(pool, parts)) };
      } catch (error) {
        if (error instanceof QuorateError) return { pool, why: error.message, kept: [] };
        throw error;
      }
    }),
  );
  return { pools };
}

function render({ pools }: DivergedDocument): string[] {
  const paint = paintFor(process.stdout);
  return pools.flatMap(({ pool, why, kept }) => {
    if (why !== null) return [paint('yellow', `${pool}: not known: ${why}`)];
    if (kept.length === 0) return [`${pool}: nothing is kept`];
    const rows = kept.map((one) => [
      { text: `  ${one.dataset}` },
      { text: `${one.usedBytes} bytes` },
      {
        text: one.isDone
          ? `of ${one.original} since ${one.common ?? 'a snapshot that is gone'}: ${one.snapshots.map((name) => `@${name}`).join(' ')}${unreplayed(one)}`
          : 'is being set aside',
      },
    ]);
    return [`${pool}:`, ...table(rows, paint, Number.POSITIVE_INFINITY)];
  });
}

/** Its snapshots do not have it, and `zfs diff` does not show it. */
const unreplayed = ({ dataset, kind, isUnreplayed }: Kept): string => {
  if (!isUnreplayed) return '';
  const remedy =
    kind === 'volume' ? 'give it its device (key, volmode) once' : `load its key and mount ${dataset} once`;
  return `; what was written last is perhaps in its intent log alone: ${remedy}`;
};

export async function diff(
  config: Config,
  dataset: string,
  { json }: Pick<Options, 'json'>,
  parts: Parts,
): Promise<void> {
  const { pools } = await read(config, parts);
  const kept = pools.flatMap((pool) => pool.kept).find((one) => one.dataset === dataset);
  const broken = pools.find(({ why }) => why !== null);
  if (kept === undefined && broken !== undefined)
    throw new QuorateError('command-failed', `${broken.pool}: ${broken.why}`);
  if (kept === undefined)
    throw new QuorateError(
      'usage',
      `nothing is kept by the name of ${dataset}: see "quorate replication diverged list"`,
    );
  const newest = kept.snapshots.at(-1);
  if (kept.common === null || newest === undefined || !kept.isDone)
    throw new QuorateError('command-failed', `${dataset} has nothing yet, or no more, to be compared with`);
  const changes = kept.kind === 'volume' ? null : await changesOf(kept.common, dataset, newest, parts);
  if (json === true) printJson({ ...kept, changes });
  else if (changes === null)
    process.stdout.write(
      `${dataset} is a volume: ${kept.usedBytes} bytes are other than in ${kept.common}\n`,
    );
  else process.stdout.write(changes.map((line) => `${line}\n`).join(''));
}

/** Lines of `zfs diff -H`: what happened ("+", "-", "M", "R"), and the names. */
async function changesOf(
  common: string,
  dataset: string,
  newest: string,
  { commands, clock, signal }: Parts,
): Promise<readonly string[]> {
  const command = ['zfs', 'diff', '-H', common, `${dataset}@${newest}`];
  const deadline = instant(clock.now() + DIFF_LIMIT_MS);
  const options = { deadline, signal, environment: { LC_ALL: 'C' }, maxOutputBytes: MAX_DIFF_BYTES };
  const result: Awaited<ReturnType<CommandRunner['run']>> = await commands.run(command, options);
  if (result.kind !== 'exited') throw commandError(command, result);
  if (result.code === 0) return result.stdout.split('\n').filter((line) => line !== '');
  if (/unmounted/.test(result.stderr))
    throw new QuorateError(
      'command-failed',
      `zfs compares only what is mounted: "mkdir -p /mnt/kept && mount -t zfs -o ro,zfsutil ${dataset} /mnt/kept", and ask again`,
    );
  throw exitError(command, result.code, result.stderr);
}
