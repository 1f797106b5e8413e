/** `quorate doctor` as a process of its own: exit codes, the document, and the one thing that it may not do. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Watchdog } from '../../cluster/local/watchdog/index.ts';
import { renderReport } from '../../src/cli/doctor-text.ts';
import { plain, wrap } from '../../src/cli/output.ts';
import { systemClock } from '../../src/clock.ts';
import type { DoctorReport } from '../../src/doctor/index.ts';
import { takeLock } from '../../src/executor/lock.ts';
import { createAuthority, issueNode } from '../../src/peer/index.ts';

const script = fileURLToPath(new URL('../../scripts/quorate', import.meta.url));
let place = '';
beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'quorate-doctor-'));
  mkdirSync(join(place, 'state'));
  const authority = await createAuthority('nas-prod');
  const { certificate, key } = await issueNode(authority, 'a');
  writeFileSync(join(place, 'ca.pem'), authority.certificate);
  writeFileSync(join(place, 'a.pem'), certificate);
  writeFileSync(join(place, 'a.key'), key);
  await quorate('--version');
}, 120_000);
afterAll(() => rmSync(place, { recursive: true, force: true }));

function quorate(...words: string[]): Promise<{ code: number | string; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(script, words, (error, out, err) =>
      resolve({ code: error === null ? 0 : (error.code ?? 'signal'), out, err }),
    );
  });
}

/** One member without anything that could fail; other sections on top. */
function config(changes: Readonly<Record<string, string>> = {}): string {
  const sections = {
    cluster: 'nas-prod',
    node: 'a',
    data_dir: 'state',
    members: '{a: {peer: 127.0.0.1:7400}}',
    tls: '{ca: ca.pem, cert: a.pem, key: a.key}',
    admin: '{listen: 127.0.0.1:1}',
    watchdog: '{mode: off}',
    resources: '[]',
    ...changes,
  };
  const file = join(place, 'q.yaml');
  writeFileSync(
    file,
    Object.entries(sections)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
  );
  return file;
}

/** Written from the contract, not from src. */
const ms = z.number().min(0);
const set = z.strictObject({ heartbeatMs: ms, leaseMs: ms, releaseMs: ms, promiseMs: ms, outageMs: ms });
const summary = z.strictObject({ count: z.int(), p50: ms, p90: ms, p99: ms, max: ms }).nullable();
const contract = z.strictObject({
  node: z.string(),
  at: z.iso.datetime(),
  ok: z.boolean(),
  checks: z.array(
    z.strictObject({
      name: z.string().min(1),
      subject: z.string().min(1),
      result: z.enum(['ok', 'warning', 'failed', 'unknown', 'skipped']),
      detail: z.string(),
      remedy: z.string().nullable(),
      ms,
    }),
  ),
  advice: z.strictObject({
    timing: z
      .strictObject({
        verdict: z.enum(['keep', 'change']),
        current: set,
        proposed: set.nullable(),
        reasons: z.array(z.string()),
        measured: z.strictObject({ roundTrip: summary, sync: summary, release: summary, takeover: summary }),
      })
      .nullable(),
  }),
});

describe('exit codes', () => {
  it('0 when nothing failed, with one document on stdout and nothing else', async () => {
    const { code, out, err } = await quorate('doctor', '--json', '--config', config());
    expect({ code, err }, out).toEqual({ code: 0, err: '' });
    const report = contract.parse(JSON.parse(out));
    expect(report).toMatchObject({ node: 'a', ok: true });
    const names = [...new Set(report.checks.map(({ name }) => name))];
    expect(names).toEqual([
      ...['versions', 'clock', 'watchdog', 'disk', 'network', 'certificates', 'peers', 'members'],
      ...['drbd', 'zfs', 'replication', 'replicated', 'cloud', 'protection', 'releases'],
    ]);
    expect(report.advice.timing?.measured.sync?.count).toBe(30);
  });

  it('1 when something failed, in text with the remedy', async () => {
    const resources = '[{name: block, kind: drbd, resource: r0}]';
    const file = config({ resources, watchdog: '{mode: required, device: /dev/none}' });
    const { code, out, err } = await quorate('doctor', '--config', file, '--checks', 'watchdog,protection');
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toMatch(/^nas-prod, node a: 1 failed/);
    expect(out).toMatch(/\nFAILED +watchdog: device: \/dev\/none does not exist.*\n/);
    expect(out).toContain('→ Load its driver at boot');
  });

  it.each([
    ['no config', []],
    ['a config that is none', ['--config', '/dev/null']],
    ['a check that is none', ['--checks', 'clocks']],
  ])('2 for %s', async (_what, words) => {
    const all = words.includes('--checks') ? ['--config', config(), ...words] : words;
    const { code, out } = await quorate('doctor', ...all);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  it('only the checks that are named', async () => {
    const { out } = await quorate('doctor', '--json', '--config', config(), '--checks', 'versions', 'zfs');
    const { checks, advice } = contract.parse(JSON.parse(out));
    expect([...new Set(checks.map(({ name }) => name))]).toEqual(['versions', 'zfs']);
    expect(advice.timing).toBeNull();
  });
});

describe('--arm-watchdog', () => {
  it('arms a stand-in, and leaves it disarmed', async () => {
    let fired = 0;
    const path = join(place, 'watchdog.sock');
    const watchdog = new Watchdog({ socket: path, timeoutMs: 5000, fire: () => (fired += 1) });
    await watchdog.listen();
    const file = config({
      watchdog: `{mode: required, device: ${path}, timeout: 5s}`,
      members: '{a: {peer: 127.0.0.1:7400}, b: {peer: 127.0.0.2:7400}}',
    });
    const { code, out } = await quorate('doctor', '--config', file, '--checks', 'watchdog', '--arm-watchdog');
    expect(out).toContain('ok       watchdog: arming: armed, petted and closed again');
    expect(code).toBe(0);
    expect(watchdog.isArmed).toBe(false);
    expect(fired).toBe(0);
    watchdog.close();
  });

  it('is refused while an executor runs', async () => {
    const lock = await takeLock(join(place, 'state'), { mayReplace: false, limitMs: 1000 }, systemClock);
    const { code, out, err } = await quorate('doctor', '--config', config(), '--arm-watchdog');
    lock.close();
    expect({ code, out }).toEqual({ code: 4, out: '' });
    expect(err).toMatch(
      new RegExp(`belongs to the executor, process ${process.pid}: .*\\[refused-unsafe\\]`),
    );
  });
});

it('ends although a peer takes connections and says nothing', async () => {
  const server = createServer(() => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const file = config({ members: `{a: {peer: 127.0.0.1:7400}, b: {peer: 127.0.0.1:${port}}}` });
  const { code, out } = await quorate(
    'doctor',
    '--json',
    '--config',
    file,
    '--checks',
    'peers,certificates,network',
  );
  server.close();
  const { checks } = contract.parse(JSON.parse(out));
  const of = (name: string): string | undefined =>
    checks.find((finding) => finding.name === name && finding.subject.endsWith(' b'))?.result;
  expect([of('peers'), of('certificates')]).toEqual(['unknown', 'unknown']);
  expect(code).toBe(0);
});

describe('the text', () => {
  const report: DoctorReport = {
    node: 'a',
    at: '',
    ok: false,
    checks: [
      { name: 'versions', subject: 'node', result: 'ok', detail: 'Node.js 22', remedy: null, ms: 1 },
      {
        name: 'drbd',
        subject: 'r0 guard',
        result: 'failed',
        detail: 'x '.repeat(100),
        remedy: 'Mend it.',
        ms: 1,
      },
      { name: 'cloud', subject: 'metadata', result: 'unknown', detail: 'silent', remedy: null, ms: 1 },
    ],
    advice: {
      timing: {
        verdict: 'change',
        current: { heartbeatMs: 100, leaseMs: 600, releaseMs: 1000, promiseMs: 1642, outageMs: 1742 },
        proposed: { heartbeatMs: 200, leaseMs: 1200, releaseMs: 1000, promiseMs: 2250, outageMs: 2450 },
        reasons: ['a round trip took 60 ms'],
        measured: { roundTrip: null, sync: null, release: null, takeover: null },
      },
    },
  };

  it('says first what failed and what is unknown, within 80 columns', () => {
    const lines = renderReport('nas', report, plain);
    expect(lines[0]).toBe('nas, node a: 1 failed, 1 unknown, 1 ok');
    expect(lines.filter((line) => /^\S/.test(line)).map((line) => line.split(' ')[0])).toEqual([
      'nas,',
      'FAILED',
      'unknown',
      'ok',
      'timing:',
      'outage',
    ]);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(lines).toContain('         → Mend it.');
  });

  it('keeps a long word whole, so that it can be copied', () => {
    expect(wrap(`a ${'b'.repeat(30)} c`, 10)).toEqual(['a', 'b'.repeat(30), 'c']);
    expect(wrap('', 10)).toEqual(['']);
  });
});
