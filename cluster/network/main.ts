/**
 * `npm run network -- [--json] [--runs N] [--only NAME] [--no-peers] [--no-faults]`: everything that can happen to a
 * holder, on real kernels. Exit 1 if two answered at once, or an address ended where the holder is not.
 */
import { release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { FaultsInput } from '../local/controller/index.ts';
import { NetworkCluster } from './cluster.ts';
import { EVENTS } from './events.ts';
import { FAULT_SWITCHES } from './faults.ts';
import { whyNoNetwork } from './namespaces.ts';
import { KeepalivedPair, keepalivedVersion, PEER_EVENTS, type PeerMeasured } from './peers/keepalived.ts';
import { document, failures, type Results, type Run, table } from './report.ts';
import { type Measured, measure, type NetworkEvent } from './stage.ts';
import type { TopologyKind } from './topology.ts';

const USAGE = `usage: npm run network -- [--json] [--runs N] [--only NAME]… [--no-peers] [--no-faults] [--keep DIRECTORY]
  --runs N     of the events that make a median (10)
  --only NAME  parts (flat, cloud, faults, keepalived), faults or events whose name contains NAME
  --keep       the logs, in a directory of its own
`;

const options = parse();
// Whatever ends this process, its exit handlers take the namespaces away.
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

const dist = dirname(fileURLToPath(import.meta.url));
const began = performance.now();
const say = (text: string): void => {
  const at = ((performance.now() - began) / 1_000).toFixed(1).padStart(7);
  process.stderr.write(`${at} s  ${text}\n`);
};

function parse() {
  const flag = { type: 'boolean', default: false } as const;
  try {
    const { values } = parseArgs({
      options: {
        json: flag,
        runs: { type: 'string', default: '10' },
        only: { type: 'string', multiple: true, default: [] },
        'no-peers': flag,
        'no-faults': flag,
        keep: { type: 'string' },
        help: { ...flag, short: 'h' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const runs = Number(values.runs);
    if (!Number.isSafeInteger(runs) || runs < 1)
      throw new Error(`--runs ${values.runs}: expected a number from 1`);
    return { ...values, runs };
  } catch (error) {
    process.stderr.write(`network: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

const PARTS = ['flat', 'cloud', 'faults', 'keepalived'] as const;
const WORDS = sorted(options.only);

interface Words {
  readonly parts: readonly string[];
  readonly switches: readonly string[];
  readonly events: readonly string[];
}

/** Each word of `--only` names parts, faults or events; a word that names nothing is a mistake. */
function sorted(words: readonly string[]): Words {
  const of = (names: readonly string[]) => words.filter((word) => names.some((name) => name.includes(word)));
  const found = {
    parts: of(PARTS),
    switches: of(FAULT_SWITCHES.map(({ name }) => name)),
    events: of([...EVENTS, ...PEER_EVENTS].map(({ name }) => name)),
  };
  const unknown = words.filter((word) => !Object.values(found).flat().includes(word));
  if (unknown.length > 0) {
    process.stderr.write(`network: --only ${unknown.join(', ')}: nothing has such a name\n${USAGE}`);
    process.exit(2);
  }
  return found;
}

function chosen<Item extends string | { readonly name: string }>(
  items: readonly Item[],
  words: readonly string[],
): readonly Item[] {
  const nameOf = (item: Item): string => (typeof item === 'string' ? item : item.name);
  return words.length === 0
    ? items
    : items.filter((item) => words.some((word) => nameOf(item).includes(word)));
}

function parts(): readonly (typeof PARTS)[number][] {
  return chosen(PARTS, WORDS.parts).filter(
    (part) => !(part === 'faults' && options['no-faults']) && !(part === 'keepalived' && options['no-peers']),
  );
}

const violations: string[] = [];

/** What the log says about the whole run, checked by the command that operators use. */
async function audited(cluster: NetworkCluster, where: string): Promise<void> {
  const { exit, stdout, stderr } = await cluster.quorate('w', ['audit', '--json', '--verify']);
  if (exit !== 0) violations.push(`the audit failed (${where}): ${stderr.trim() || `exit code ${exit}`}`);
  else {
    const audit = JSON.parse(stdout) as { readonly violations: readonly unknown[] };
    for (const violation of audit.violations) violations.push(`${where}: ${JSON.stringify(violation)}`);
  }
}

function tell(where: string, measured: Measured): void {
  const moved = measured.from === measured.to ? measured.to : `${measured.from} → ${measured.to}`;
  const twice = Math.max(measured.bothAnsweredMs, measured.bothHeldMs);
  say(
    `${where}: ${measured.name}: ${moved}, outage ${measured.outageMs.toFixed(0)} ms` +
      `${twice > 0 ? `, TWO AT ONCE for ${twice.toFixed(1)} ms` : ''}${measured.isWrong ? ', WRONG' : ''}` +
      `${measured.note === '' ? '' : ` (${measured.note})`}`,
  );
}

const events = (): readonly NetworkEvent[] => chosen(EVENTS, WORDS.events);

interface Series {
  readonly kind: TopologyKind;
  readonly where: string;
  readonly seed: number;
  readonly repeat: number;
  readonly faults: FaultsInput;
  readonly lateMs: number;
}

/** Each event in turn on one cluster; on a new one after an event that left it unfit for the next. */
async function measureAll({ kind, where, seed, repeat, faults, lateMs }: Series): Promise<Measured[]> {
  const create = async (attempt: number): Promise<NetworkCluster> => {
    const keep =
      options.keep === undefined ? {} : { directory: `${options.keep}/${kind}-${seed}-${attempt}` };
    const fresh = await NetworkCluster.create({ kind, dist, seed, ...keep });
    await fresh.setFaults(faults);
    return fresh;
  };
  const queue = events().flatMap((event) =>
    Array.from({ length: event.isRepeated ? repeat : 1 }, () => event),
  );
  const rows: Measured[] = [];
  let created = 1;
  let cluster = await create(created);
  try {
    for (const event of queue) {
      try {
        const measured = await measure(cluster, event, { lateMs });
        tell(where, measured);
        rows.push(measured);
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        say(`${where}: ${event.name} could not be measured: ${said}`);
        violations.push(`${event.name} (${where}) could not be measured: ${said}`);
        await cluster.stop();
        created += 1;
        cluster = await create(created);
      }
    }
    await audited(cluster, where);
  } finally {
    await cluster.stop();
  }
  return rows;
}

async function measureTopology(kind: TopologyKind, topology: Run['topology']): Promise<Run[]> {
  const series = { kind, where: topology, seed: 1, repeat: options.runs, faults: {}, lateMs: 0 };
  return (await measureAll(series)).map((measured) => ({ measured, topology }));
}

async function measureFaults(): Promise<Results['faults']> {
  const reports: Results['faults'][number][] = [];
  for (const [index, one] of chosen(FAULT_SWITCHES, WORDS.switches).entries()) {
    const { name, faults, lateMs } = one;
    const runs = await measureAll({
      kind: 'cloud',
      where: name,
      seed: index + 2,
      repeat: 1,
      faults,
      lateMs,
    });
    const wrongHolder = runs.filter(({ isWrong }) => isWrong).length;
    reports.push({ switch: name, events: runs.length, wrongHolder, runs });
  }
  return reports;
}

async function measurePeers(): Promise<PeerMeasured[]> {
  const version = await keepalivedVersion();
  if (version === null) {
    say('keepalived is not installed: it is left out (apt-get install keepalived)');
    return [];
  }
  say(`keepalived ${version}`);
  const rows: PeerMeasured[] = [];
  for (const advertS of [1, 0.1]) {
    const pair = await KeepalivedPair.create({ dist, advertS });
    try {
      for (const event of chosen(PEER_EVENTS, WORDS.events)) {
        for (let count = 0; count < options.runs; count += 1) {
          const row = await pair.measure(event);
          say(
            `${row.name}: ${row.event}: outage ${row.outageMs.toFixed(0)} ms, two ${row.bothAnsweredMs.toFixed(0)} ms`,
          );
          rows.push(row);
        }
      }
    } finally {
      await pair.stop();
    }
  }
  return rows;
}

async function run(): Promise<Results> {
  const which = parts();
  return {
    host: { kernel: release(), root: process.getuid?.() === 0 },
    events: [
      ...(which.includes('flat') ? await measureTopology('flat', 'address only') : []),
      ...(which.includes('cloud') ? await measureTopology('cloud', 'cloud') : []),
    ],
    faults: which.includes('faults') ? await measureFaults() : [],
    peers: which.includes('keepalived') ? await measurePeers() : [],
    violations,
  };
}

const why = await whyNoNetwork();
if (why !== null) {
  process.stderr.write(`network: ${why}\n`);
  process.exit(1);
}
try {
  const results = await run();
  process.stdout.write(`${options.json ? JSON.stringify(document(results)) : table(results)}\n`);
  process.exit(failures(results).length === 0 ? 0 : 1);
} catch (error) {
  process.stderr.write(
    `network: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
}
