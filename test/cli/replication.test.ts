/** `quorate replication discover`: the document, the text, and what it says where somebody does not answer. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { run } from '../../src/cli/program.ts';
import { type Questions, show } from '../../src/cli/replication.ts';
import { type Config, parseConfig } from '../../src/config/index.ts';
import { nodeId } from '../../src/core/index.ts';
import { EXIT } from '../../src/errors.ts';
import { packReading, type Said } from '../../src/replication/index.ts';
import { configDirectory, GOOD } from '../config/fixture.ts';
import { A, B, closeAll, startNode } from '../peer/harness.ts';
import { perform, planOf, stepsIn } from '../replication/perform.ts';
import { testTls } from '../support/pki.ts';
import { type Captured, captured } from './captured.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());
afterEach(closeAll);

const SECTION = 'replication: {pools: [tank], exclude: [tank/tmp]}\n';

function configOf(section = SECTION, node = 'a'): Config {
  const { config, problems } = parseConfig(GOOD + section, join(directory, 'q.yaml'), { node });
  if (config === null) throw new Error(problems.join('\n'));
  return config;
}

const reading = (pool: ModelPool): Said => ({
  kind: 'reading',
  reading: { version: 1, pools: [{ kind: 'read', name: 'tank', texts: pool.texts() }] },
});

/** A new dataset, one with a newer snapshot, a conflict, one that is excluded. */
function twoPools(): { readonly own: Said; readonly theirs: Said } {
  const guids = new Guids();
  const [a, b] = [new ModelPool('tank', guids), new ModelPool('tank', guids)];
  for (const name of ['tank/home', 'tank/mail']) {
    a.create(name);
    a.snapshot(name, 's1');
  }
  for (const step of stepsIn(planOf(a, b))) perform(step, a, b);
  a.write('tank/home', 'x'.repeat(2048));
  a.snapshot('tank/home', 's2');
  b.snapshot('tank/mail', 'by-hand');
  for (const name of ['tank/new', 'tank/tmp']) {
    a.create(name);
    a.snapshot(name, 's1');
  }
  return { own: reading(a), theirs: reading(b) };
}

/** As the command ends: with the code of its error, and its words. */
const said = (work: () => Promise<unknown>): Promise<Captured> =>
  captured(() =>
    work().then(
      (value) => (typeof value === 'number' ? value : EXIT.done),
      (error: { exitCode: number; message: string }) => {
        process.stderr.write(error.message);
        return error.exitCode;
      },
    ),
  );

const answers = (change: Partial<Questions> = {}): Questions => {
  const { own, theirs } = twoPools();
  return { ownPools: async () => own, poolsOf: async () => theirs, holder: async () => A, ...change };
};
const discover = (
  options: { json?: boolean; from?: string },
  change: Partial<Questions> = {},
  config = configOf(),
) => said(() => show(config, options, answers(change)));

/** Written from docs/replication.md, not from src. */
const contract = z.strictObject({
  cluster: z.string(),
  from: z.string(),
  to: z.string(),
  because: z.enum(['holds', 'asked', 'assumed']),
  complete: z.boolean(),
  pools: z.array(
    z.strictObject({
      pool: z.string(),
      state: z.enum(['planned', 'by-drbd', 'missing', 'unknown']),
      why: z.string().min(1),
      tasks: z.array(
        z.strictObject({
          dataset: z.string(),
          kind: z.enum(['filesystem', 'volume']),
          state: z.enum(['new', 'both', 'renamed', 'only-there']),
          renamedFrom: z.string().nullable(),
          decision: z.enum(['full', 'incremental', 'bookmark', 'resume', 'conflict', 'nothing', 'excluded']),
          reason: z.string().nullable(),
          why: z.string().min(1),
          bytes: z.int().min(0),
          warnings: z.array(z.string()),
          steps: z.array(z.object({ kind: z.enum(['rename', 'abandon', 'resume', 'full', 'incremental']) })),
        }),
      ),
    }),
  ),
});

describe('the plan', () => {
  it('--json is one document of the contract', async () => {
    const { code, out, err } = await discover({ json: true });
    expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
    const document = contract.parse(JSON.parse(out));
    expect(document).toMatchObject({ from: 'a', to: 'b', because: 'holds', complete: true });
    expect(document.pools[0]?.tasks.map(({ dataset, decision }) => `${decision} ${dataset}`)).toEqual([
      'excluded tank',
      'incremental tank/home',
      'conflict tank/mail',
      'full tank/new',
      'excluded tank/tmp',
    ]);
  });

  it('as text fits 80 columns, what needs people first, and says that nothing was changed', async () => {
    const { code, out } = await discover({});
    expect(code).toBe(EXIT.done);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(out).toMatch(
      /^nas-prod: from a to b, because a holds\n\ntank: 1 conflict, 1 full, 1 incremental, 2 excluded; 2 KiB to send\nCONFLICT {5}tank\/mail: b has @by-hand/,
    );
    expect(out).toMatch(
      /\nincremental {2}tank\/home, 2 KiB: @s1 is on both: one newer snapshot goes after it\n/,
    );
    expect(out).toMatch(/\nNothing was changed\. How far it is: "quorate replication status"\.\n$/);
  });

  it('goes from the holder, from whom one asks for, or from here', async () => {
    const direction = async (options: { from?: string }, holder: Questions['holder']) =>
      contract.parse(JSON.parse((await discover({ json: true, ...options }, { holder })).out));
    expect(await direction({}, async () => B)).toMatchObject({ from: 'b', to: 'a', because: 'holds' });
    expect(await direction({ from: 'b' }, async () => A)).toMatchObject({ from: 'b', because: 'asked' });
    expect(await direction({}, async () => null)).toMatchObject({ from: 'a', because: 'assumed' });
  });

  it('of a pool on DRBD has nothing to do', async () => {
    const pool = '  - {name: tank, kind: zfs-pool, pool: tank, after: [block]}\n';
    const { out } = await discover({}, {}, configOf(pool + SECTION));
    expect(out).toContain(
      '\nby-drbd      tank: stands on the DRBD resource r0: every write is on both nodes\n',
    );
  });
});

describe('what is not known', () => {
  it('is said, is planned by nobody, and ends with exit code 1', async () => {
    const poolsOf = async (): Promise<Said> => ({ kind: 'unknown', why: 'b does not answer' });
    const { code, out } = await discover({ json: true }, { poolsOf });
    expect(code).toBe(EXIT.failed);
    expect(contract.parse(JSON.parse(out))).toMatchObject({
      complete: false,
      pools: [{ state: 'unknown', why: 'what b has of it is not known: b does not answer', tasks: [] }],
    });
  });

  it.each([
    ['a pool that its config does not have', [], /its own config does not have it/],
    [
      'a line that is damaged',
      [{ kind: 'read', name: 'tank', texts: { pool: 'tank\n', status: '', datasets: '', points: '' } }],
      /line 1 of \\"zpool list\\"/,
    ],
    [
      'letters for the terminal',
      [{ kind: 'unknown', name: 'tank', why: '\u001b[2J' }],
      /is not known: \?\[2J/,
    ],
  ] as const)('of the other node: %s', async (_what, pools, words) => {
    const poolsOf = async (): Promise<Said> => ({
      kind: 'reading',
      reading: { version: 1, pools: [...pools] },
    });
    const { code, out } = await discover({ json: true }, { poolsOf });
    expect({ code, isSaid: words.test(out) }).toEqual({ code: EXIT.failed, isSaid: true });
  });
});

describe('the command', () => {
  const command = (text: string, ...words: string[]) => {
    const file = join(directory, 'q.yaml');
    writeFileSync(file, text);
    return said(() => run(['replication', 'discover', '--config', file, ...words]));
  };

  it('asks the agent of the other node, whose words are carried whole', async () => {
    const peer = await startNode(B, {
      facts: () => ({
        node: B,
        version: '0',
        nodeVersion: '20',
        config: {},
        wallMs: 0,
        fitness: null,
        hostId: null,
      }),
      pools: () =>
        packReading({
          version: 1,
          pools: [{ kind: 'unknown', name: 'tank', why: 'the pool is SUSPENDED there' }],
        }),
      cluster: 'nas-prod',
    });
    peer.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
    const text = (GOOD + SECTION).replace('10.0.2.10:7400', peer.address);
    const { out } = await command(await withTls(text), '--from', 'b');
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      'what b has of it is not known: the pool is SUSPENDED there',
    );
  });

  it.each([
    ['no section', GOOD, [], EXIT.usage, 'replication-not-configured'],
    [
      'a node that is none',
      GOOD + SECTION,
      ['--from', 'c'],
      EXIT.usage,
      '--from: "c" is no data node (a, b)',
    ],
    ['the witness', GOOD + SECTION, ['--node', 'w'], EXIT.usage, 'w is the witness and has no pools'],
  ])('%s: a sentence and exit code 2', async (_what, text, words, code, sentence) => {
    const result = await command(text, ...words);
    expect(result.code).toBe(code);
    expect(result.err).toContain(sentence);
  });
});

/** With certificates of the test's authority, which the peer knows too. */
async function withTls(text: string): Promise<string> {
  const { ca, cert, key } = await testTls('nas-prod', nodeId('a'));
  for (const [name, pem] of [
    ['test-ca.pem', ca],
    ['test-a.pem', cert],
    ['test-a.key', key],
  ] as const)
    writeFileSync(join(directory, name), pem);
  return text.replace(
    '{ca: ca.pem, cert: a.pem, key: a.key}',
    '{ca: test-ca.pem, cert: test-a.pem, key: test-a.key}',
  );
}
