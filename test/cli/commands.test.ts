/** Commands in this process, against the admin service over mutual TLS with an agent that answers what it is told. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { statusSchema } from '../../src/admin/index.ts';
import { run } from '../../src/cli/program.ts';
import { EXIT, QuorateError } from '../../src/errors.ts';
import { LogStore, sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { type FakeAgent, identities, POOLS, RESYNCS, STATUS, startFakeAgent } from '../admin/fake.ts';
import { a, b, chain, config, elected, FAILOVER, granted } from '../state/story.ts';
import { captured } from './captured.ts';

let agent: FakeAgent;
beforeAll(async () => {
  agent = await startFakeAgent(await identities());
});
afterAll(() => agent.close());
beforeEach(() => {
  agent.backend.asked.length = 0;
  agent.backend.failure = null;
  agent.backend.log = FAILOVER;
  agent.backend.committed = FAILOVER.length;
  agent.backend.statusDocument = STATUS;
});
afterEach(() => {
  vi.restoreAllMocks();
});

const quorate = (...words: string[]) => captured(() => run(words));
const inDirectory = (name: string): string => join(agent.directory, name);
const withConfig = (): string[] => ['--config', inDirectory('q.yaml')];
const withAddress = (role: string): string[] => [
  ...['--address', agent.address, '--tls-ca', inDirectory('ca.pem')],
  ...['--tls-cert', inDirectory(`${role}.pem`), '--tls-key', inDirectory(`${role}.key`)],
];

describe('status', () => {
  it('--json prints exactly one document, of the contract', async () => {
    const { code, out, err } = await quorate('status', '--json', ...withConfig());
    expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
    const { warnings: _, scheduled: _none, resync: _noneEither, replication: _nor, ...contract } = STATUS;
    expect(JSON.parse(out)).toEqual(contract);
    expect(statusSchema.parse(JSON.parse(out))).toEqual(STATUS);
  });

  it('says what is to be done about the certificates', async () => {
    const warning = "this node's certificate expires on 2027-01-01";
    agent.backend.statusDocument = { ...STATUS, warnings: [warning] };
    expect(JSON.parse((await quorate('status', '--json', ...withConfig())).out).warnings).toEqual([warning]);
    expect((await quorate('status', ...withConfig())).out).toContain(`\nwarning: ${warning}\n`);
  });

  it('fits 80 columns and has no colour where nobody looks', async () => {
    const { code, out } = await quorate('status', ...withAddress('viewer'));
    expect(code).toBe(EXIT.done);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(out).not.toContain('\u001b');
    expect(out).toMatch(/^nas-prod: a holds \(epoch 8\), a leads term 3\n/);
    expect(out).toMatch(/\nb +data +- +unreachable +outdated +\? +\?\n/);
    expect(out).toMatch(/\nblock +drbd +held +r0 is Primary.*…\n/);
  });

  it('has a line for each resync that runs, in 80 columns, and --json only where there is one', async () => {
    expect((await quorate('status', ...withConfig())).out).not.toContain('resync');
    agent.backend.statusDocument = { ...STATUS, resync: RESYNCS };
    const { out } = await quorate('status', ...withConfig());
    expect(out).toContain('\nresync: block volume 0 to b, 18.7 % done, 52 MiB to go\n');
    expect(out).toContain('\nresync: block volume 1 from a peer, how far is not known, paused\n');
    expect(JSON.parse((await quorate('status', '--json', ...withConfig())).out).resync).toEqual(RESYNCS);
    const long = RESYNCS.map((one) => ({ ...one, resource: 'r'.repeat(100), peer: 'p'.repeat(63) }));
    agent.backend.statusDocument = { ...STATUS, resync: long };
    const lines = (await quorate('status', ...withConfig())).out.split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('has a line for each pool that snapshots keep alike, in 80 columns, and --json only where there is one', async () => {
    expect((await quorate('status', ...withConfig())).out).not.toContain('replication');
    agent.backend.statusDocument = { ...STATUS, replication: POOLS };
    const { out } = await quorate('status', ...withConfig());
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    const text = out.replaceAll(/\s+/g, ' ');
    expect(text).toMatch(
      /replication: tank to b: whole up to 2026-01-02T03:04:00\.000Z, \d+ d ago; 1 in conflict; 1 late; sending 2/,
    );
    expect(text).toMatch(/replication: vault from b: .* too old for a takeover by itself/);
    expect(JSON.parse((await quorate('status', '--json', ...withConfig())).out).replication).toEqual(POOLS);
  });

  it('H6: says at its head what the tenure goes on without, in full', async () => {
    const why =
      'tank is lost in spite of 3 repairs: exit code 1; b could not do better: b is not in the in-sync set (H1)';
    const [first, ...rest] = STATUS.resources;
    if (first === undefined) throw new Error('no resource');
    const detail = `degraded: ${why}`;
    agent.backend.statusDocument = {
      ...STATUS,
      resources: [{ ...first, probe: 'not-held', detail }, ...rest],
    };
    const { out } = await quorate('status', ...withConfig());
    const lines = out.split('\n');
    expect(`${lines[2]} ${lines[3]}`.replaceAll(/\s+/g, ' ').trim()).toContain(
      'b is not in the in-sync set (H1)',
    );
    expect(lines[2]).toMatch(/^degraded: tank is lost/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('fits 80 columns with long names', async () => {
    const long = 'very-long-name-of-a-node-in-a-zone-'.repeat(2);
    agent.backend.statusDocument = {
      ...STATUS,
      cluster: long,
      nodes: STATUS.nodes.map((node) => ({ ...node, id: long, zone: long })),
      resources: STATUS.resources.map((resource) => ({ ...resource, name: long })),
    };
    const { out } = await quorate('status', ...withConfig());
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('--json --watch would be more than one document', async () => {
    expect((await quorate('status', '--json', '--watch', ...withConfig())).code).toBe(EXIT.usage);
  });
});

describe('audit', () => {
  it('--json is the audit of the log', async () => {
    const { code, out } = await quorate('audit', '--json', ...withConfig());
    expect(code).toBe(EXIT.done);
    expect(JSON.parse(out)).toEqual(audit(FAILOVER, sha256));
  });

  it('prints a timeline', async () => {
    const { out } = await quorate('audit', ...withConfig());
    expect(out).toMatch(/^1 .*term 0: members a b w \(witness\), in sync: a b, promise 1\.64 s\n/);
    expect(out).toMatch(
      /\n4 +2026-01-02T03:04:06\.678Z +term 1: a has released epoch 3 for b \(switchover\): r0 is Secondary\n/,
    );
    expect(out).toMatch(
      /\n8 entries, 3 elections, 3 tenures, longest known gap 50 ms\nthe chain is whole, head /,
    );
  });

  it('--verify fails on a violation, after printing it', async () => {
    agent.backend.log = chain([0, config()], [1, elected(a)], [1, granted(b)]);
    agent.backend.committed = 3;
    const plain = await quorate('audit', ...withConfig());
    expect(plain.code).toBe(EXIT.done);
    expect(plain.out).toContain('VIOLATION at entry 3: granted-by-other');
    const { code, out, err } = await quorate('audit', '--verify', '--json', ...withConfig());
    expect(code).toBe(EXIT.failed);
    expect(JSON.parse(out).violations).toHaveLength(1);
    expect(err).toMatch(/^quorate: entry 3: .*\[audit-failed\]\n$/);
  });

  it('shows an override with what it gave up, and one that was void as that (O3)', async () => {
    const forced = (node: typeof a) =>
      ({ kind: 'forced', who: 'root', why: 'a burned', mayLose: '5 s', node, at: null }) as const;
    agent.backend.log = chain(
      [0, config({ inSync: [a] })],
      [1, elected(b)],
      [1, forced(b)],
      [1, forced(b)],
      [2, elected(b)],
      [2, granted(b)],
    );
    agent.backend.committed = 6;
    const { code, out } = await quorate('audit', '--verify', ...withConfig());
    expect(code).toBe(EXIT.done);
    expect(out).toMatch(/\n3 +term 1: root forced b to hold: a burned \(may lose 5 s\)\n/);
    expect(out).toMatch(/\n4 .*\(may lose 5 s\), void: b is in the in-sync set\n/);
    expect(out).toContain('no rule is broken');
  });

  it('is the same offline from the data directory', async () => {
    const directory = inDirectory('data');
    mkdirSync(directory, { recursive: true });
    const { store } = await LogStore.open(directory, { digest: sha256 });
    const hardState = {
      term: FAILOVER[7]?.term ?? (0 as never),
      votedFor: null,
      commitIndex: FAILOVER[5]?.index ?? (0 as never),
      damaged: null,
    };
    await store.persist([{ id: 1, hardState, entries: FAILOVER }]);
    await store.close();
    const offline = await quorate('audit', '--json', '--data-dir', directory);
    expect(offline).toMatchObject({ code: EXIT.done, err: '' });
    expect(offline.out).toBe((await quorate('audit', '--json', ...withConfig())).out);
  });

  it('--html writes a page in one step, over an old one, and says where', async () => {
    const file = inDirectory('audit.html');
    writeFileSync(file, 'old');
    const { code, out } = await quorate('audit', '--html', file, ...withConfig());
    expect({ code, out }).toEqual({ code: EXIT.done, out: `wrote ${file}\n` });
    expect(readFileSync(file, 'utf8')).toMatch(
      /^<!doctype html>[\s\S]*<h1>Audit of nas-prod<\/h1>[\s\S]*<\/html>\n$/,
    );
    expect(readdirSync(agent.directory).filter((name) => name.includes('audit.html'))).toEqual([
      'audit.html',
    ]);
  });

  it('--html says what cannot be written, and leaves nothing behind', async () => {
    const { code, err } = await quorate('audit', '--html', inDirectory('no/such/page.html'), ...withConfig());
    expect(code).toBe(EXIT.failed);
    expect(err).toMatch(/^quorate: .*no\/such\/page\.html: .*ENOENT.*\[file-not-written\]\n$/);
    mkdirSync(inDirectory('taken'), { recursive: true });
    expect((await quorate('audit', '--html', inDirectory('taken'), ...withConfig())).code).toBe(EXIT.failed);
    expect(readdirSync(agent.directory).filter((name) => name.startsWith('.taken'))).toEqual([]);
  });

  it('--since, --until and --node show a part, and say what they leave out', async () => {
    const window = ['--since', '2026-01-02T03:04:06Z', '--until', '2026-01-02 03:04:08', '--node', 'b'];
    const { code, out } = await quorate('audit', ...window, ...withConfig());
    expect(code).toBe(EXIT.done);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^4 .*a has released epoch 3 for b/),
      expect.stringMatching(/^5 .*b elected/),
      expect.stringMatching(/^6 .*b may hold/),
      '',
      'Shown: from 2026-01-02T03:04:06.000Z to 2026-01-02T03:04:08.000Z, only what concerns b, or no node in particular.',
      'Left out: 5 of 8 entries, 2 elections, 2 tenures. The chain and the violations are of the whole log.',
      expect.stringMatching(/^3 entries, 1 elections, 1 tenures/),
      expect.stringMatching(/^the chain is whole/),
      'no rule is broken',
      '',
    ]);
    const json = JSON.parse((await quorate('audit', '--json', ...window, ...withConfig())).out);
    expect(json).toMatchObject({ window: { node: 'b', leftOut: { entries: 5 } }, chain: { entries: 8 } });
  });

  it.each([
    [['--since', 'yesterday'], /--since: "yesterday" is not a time; write a time as 2026-01-02T03:04:05Z/],
    [['--until', '2026-02-30'], /--until: "2026-02-30" is not in the calendar/],
    [['--since', '2026-01-02T25:00Z'], /is not a time of the day/],
    [
      ['--since', '2026-01-03', '--until', '2026-01-02'],
      /--since 2026-01-03 is later than --until 2026-01-02/,
    ],
    [['--node', 'z'], /--node z: the log names no such node; it names a, b, w/],
    [['--json', '--html', 'x.html'], /either --json or --html/],
  ])('refuses %j', async (words, why) => {
    const { code, out, err } = await quorate('audit', ...words, ...withConfig());
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toMatch(why);
  });

  it('says that a data directory without a log has none', async () => {
    expect((await quorate('audit', '--data-dir', inDirectory('nothing'))).code).toBe(EXIT.failed);
  });
});

describe('switchover', () => {
  it('says what was done', async () => {
    const { code, out } = await quorate('switchover', '--to', 'b', ...withConfig());
    expect(code).toBe(EXIT.done);
    expect(out).toMatch(/^moved from a to b, epoch 11, 48 ms\n {2}in sync +ok +b is in sync\n/);
    expect(agent.backend.asked).toMatchObject([{ to: 'b', dryRun: false }]);
  });

  it('--dry-run --json', async () => {
    const { out } = await quorate('switchover', '--dry-run', '--json', ...withAddress('operator'));
    expect(JSON.parse(out)).toMatchObject({ dryRun: true, from: 'a', to: 'b', epoch: null });
  });

  const failures = [
    ['refused-unsafe', EXIT.refused],
    ['not-leader', EXIT.failed],
    ['timed-out-unknown', EXIT.unknown],
  ] as const;
  it.each(failures)('%s ends with exit code %i and one line', async (code, exit) => {
    agent.backend.failure = new QuorateError(code, 'the leader is b');
    const result = await quorate('switchover', ...withConfig());
    expect(result).toMatchObject({ code: exit, out: '' });
    expect(result.err).toMatch(new RegExp(`^quorate: the leader is b.* — .*\\[${code}\\]\\n$`));
  });

  it('without an answer the outcome is unknown', async () => {
    agent.backend.failure = 'silence';
    expect((await quorate('switchover', '--timeout', '1', ...withConfig())).code).toBe(EXIT.unknown);
  });
});

describe('failover', () => {
  const toB = ['failover', '--to', 'b'];

  it('says what was forced, what was given up, and how it went', async () => {
    const { code, out } = await quorate(...toB, '--accept-data-loss', '--why', 'a burned', ...withConfig());
    expect(code).toBe(EXIT.done);
    expect(out).toMatch(
      /^forced b to hold \(entry 20\), epoch 23, 310 ms\ngiven up: every write that a acknowledged since .*\n {2}out of sync +ok +b is not/,
    );
    expect(agent.backend.asked).toMatchObject([
      { to: 'b', dryRun: false, acceptDataLoss: true, why: 'a burned' },
    ]);
  });

  it('2: without --accept-data-loss it names the flag and what may be lost, and asks for nothing', async () => {
    const { code, out, err } = await quorate(...toB, ...withConfig());
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toMatch(
      /^quorate: .*--accept-data-loss: what may be lost is every write that a acknowledged/,
    );
    expect(agent.backend.asked).toMatchObject([{ dryRun: true, acceptDataLoss: false }]);
    agent.backend.failure = new QuorateError('not-leader', 'the leader is b');
    const blind = await quorate(...toB, ...withConfig());
    expect(blind.code).toBe(EXIT.usage);
    expect(blind.err).toMatch(/--accept-data-loss: what may be lost is every write that others acknowledged/);
  });

  it('4: --dry-run prints checks, loss and steps, and fails with a check', async () => {
    const { code, out, err } = await quorate(...toB, '--dry-run', ...withConfig());
    expect(code).toBe(EXIT.refused);
    expect(out).toMatch(/^would force b to hold\nmay be lost: every write /);
    expect(out).toMatch(/\n {2}in-sync nodes away +no +a is in sync and answers\n/);
    expect(out).toMatch(/\n {2}b: acquire block .*at once\n$/);
    expect(err).toMatch(/in-sync nodes away: a is in sync and answers.*\[refused-unsafe\]/);
    const json = await quorate(...toB, '--dry-run', '--json', ...withConfig());
    expect(JSON.parse(json.out)).toMatchObject({ dryRun: true, to: 'b', forcedAt: null, epoch: null });
  });

  const failures = [
    ['refused-unsafe', EXIT.refused],
    ['not-leader', EXIT.failed],
    ['failover-failed', EXIT.failed],
    ['timed-out-unknown', EXIT.unknown],
  ] as const;
  it.each(failures)('%s ends with exit code %i', async (code, exit) => {
    agent.backend.failure = new QuorateError(code, 'the leader is b');
    const result = await quorate(...toB, '--accept-data-loss', ...withConfig());
    expect(result).toMatchObject({ code: exit, out: '' });
  });

  it('1: an operator may not', async () => {
    const { code, err } = await quorate(...toB, '--accept-data-loss', ...withAddress('operator'));
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('Failover needs the role admin');
  });
});

it('bootstrap', async () => {
  const { code, out } = await quorate('bootstrap', '--in-sync', 'a', 'b', ...withAddress('admin'));
  expect({ code, out }).toEqual({ code: EXIT.done, out: 'the cluster begins, in sync: a b\n' });
  expect(agent.backend.asked).toMatchObject([{ inSync: ['a', 'b'] }]);
});

it("fence-peer by address has DRBD's exit codes too", async () => {
  expect((await quorate('fence-peer', '--peer', 'b', ...withAddress('operator'))).code).toBe(4);
  agent.backend.failure = new QuorateError('refused-unsafe', 'no tenure');
  const refused = await quorate('fence-peer', ...withAddress('operator'));
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(/^quorate: fence-peer: the peer is not fenced: no tenure/);
});

describe('exit codes', () => {
  const usage: [string, string[]][] = [
    ['no command', []],
    ['an unknown command', ['stauts']],
    ['an unknown option', ['status', '--jsom']],
    ['no connection', ['status']],
    ['half a connection', ['status', '--address', '127.0.0.1:1']],
    ['a bad address', ['status', '--address', 'x', '--tls-ca', 'a', '--tls-cert', 'a', '--tls-key', 'a']],
    ['a bad node id', ['switchover', '--to', 'B!', '--config', 'q.yaml']],
    ['a bad time-out', ['switchover', '--timeout', 'long', '--config', 'q.yaml']],
    ['failover without a node', ['failover', '--accept-data-loss', '--config', 'q.yaml']],
    ['bootstrap without nodes', ['bootstrap', '--config', 'q.yaml']],
    ['no config file', ['status', '--config', '/nonexistent/q.yaml']],
    ['agent without config', ['agent']],
  ];
  it.each(usage)('2: %s', async (_what, words) => {
    const { code, out, err } = await quorate(...words);
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toMatch(/^quorate: .*\n$/);
    expect(err.trimEnd()).not.toContain('\n');
  });

  it('2: each error of a config on a line of its own', async () => {
    const file = inDirectory('bad.yaml');
    writeFileSync(file, 'cluster: x\nnode: 7\nfoo: 1\n');
    const { code, err } = await quorate('status', '--config', file);
    expect(code).toBe(EXIT.usage);
    const lines = err.trimEnd().split('\n');
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line).toMatch(new RegExp(`^quorate: ${file}:\\d+: `));
  });

  it('3: nobody there', async () => {
    const { code, err } = await quorate('status', ...withAddress('a').with(1, '127.0.0.1:9'));
    expect(code).toBe(EXIT.unreachable);
    expect(err).toMatch(/^quorate: no agent answers at 127\.0\.0\.1:9: .*\[agent-unreachable\]\n$/);
  });

  it('3: a certificate of another cluster', async () => {
    expect((await quorate('status', ...withAddress('stranger'))).code).toBe(EXIT.unreachable);
  });

  it('1: not authorised', async () => {
    const { code, err } = await quorate('switchover', ...withAddress('viewer'));
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('Switchover needs the role operator');
  });

  it.each([['--help'], ['status', '--help'], ['--version']])('0: %s %s', async (...words) => {
    const { code, out } = await quorate(...words.filter((word) => word !== undefined));
    expect(code).toBe(EXIT.done);
    expect(out).not.toBe('');
  });
});
