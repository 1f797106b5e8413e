/** docs/capacity.md: its sizes, limits and promises are those of the code. */
import { expect, it } from 'vitest';
import { parseDuration } from '../../src/config/index.ts';
import {
  deriveTiming,
  durationMs,
  GENESIS,
  logIndex,
  type Message,
  makeEntry,
  nodeId,
  term,
} from '../../src/core/index.ts';
import { encodeEntry, parseEntryBody, sha256 } from '../../src/log/index.ts';
import { encodeMessage } from '../../src/peer/codec.ts';
import { text } from '../deployments/support/files.ts';

const PAGE = 'docs/capacity.md';
const page = text(PAGE);

/** The cells of each row of the table whose head begins so. */
function rowsOf(head: string): string[][] {
  const start = page.indexOf(`| ${head}`);
  expect(start).toBeGreaterThan(0);
  const [, , ...rows] = page.slice(start, page.indexOf('\n\n', start)).split('\n');
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

const ms = (cell: string): number => {
  const parsed = parseDuration(cell, { minMs: 0, maxMs: 3_600_000 });
  if (!parsed.ok) throw new Error(parsed.why);
  return parsed.value;
};

const PROMISES = rowsOf('for | H | L | D | W | P |');
it.each(PROMISES)('P of "%s" is what L5 derives', (_for, H = '', L = '', D = '', W = '', P = '') => {
  const { promiseMs } = deriveTiming({
    heartbeatMs: ms(H),
    leaseMs: ms(L),
    releaseMs: ms(D),
    guardMs: 25,
    clockErrorRate: 0.005,
    watchdogTimeoutMs: W === '-' ? null : ms(W),
  });
  expect(Number(P.replace(' s', ''))).toBeCloseTo(promiseMs / 1000, 2);
});

/** From the log of three agents with one service. */
const AT = 1_795_809_883_061;
const FROM_A_LOG: Readonly<Record<string, object>> = {
  config: {
    members: ['a', 'b', 'w'].map((id) => ({ id, witness: id === 'w', learner: false })),
    removed: [],
    timing: {
      ...{ heartbeatMs: 100, leaseMs: 10_000, releaseMs: 20_000, guardMs: 25, watchdog: null },
      ...{ clockErrorRate: 0.005, promiseMs: 30_326.758793969842 },
    },
    inSync: ['a', 'b'],
    cluster: 'nas',
  },
  elected: {
    ...{ leader: 'b', votes: ['b', 'w'], reason: 'released', detectMs: 1.5 },
    ...{ electMs: 364.78843600000255, caretaker: false, at: AT },
  },
  'tenure-granted': { node: 'b', at: AT },
  'takeover-done': {
    ...{ epoch: 24, node: 'b', ok: true, totalMs: 308, at: AT },
    steps: [{ name: 'web', ms: 307.7, result: 'started' }],
  },
  operator: {
    ...{ who: 'root@vm (quorate://nas/a)', action: 'switchover to b', at: AT, to: 'b' },
    request: 'cfc0a3f4-e95c-4006-8f49-0d558c2e36e2',
  },
  'tenure-released': {
    ...{ epoch: 18, node: 'b', reason: 'switchover', successor: 'a', at: AT },
    evidence: 'web: does not run (code 1); verified in 758.8 ms (D 20000 ms)',
  },
  pause: {
    ...{ paused: false, who: 'root@vm (quorate://nas/b)', why: '', at: AT },
    request: '5359cf60-805c-4d62-8c7c-7addb79e556f',
  },
};

it.each(rowsOf('entry | bytes'))('an entry %s has %s bytes', (kind = '', bytes = '') => {
  const name = kind.replaceAll('`', '');
  const body = parseEntryBody({ kind: name, ...FROM_A_LOG[name] });
  const entry = makeEntry(sha256, logIndex(24), term(6), GENESIS, body);
  const size = encodeEntry(entry).length;
  // Numbers and reasons have more or fewer digits.
  expect(Math.abs(size - Number(bytes))).toBeLessThanOrEqual(10);
});

const ENVELOPE = { from: nodeId('a'), to: nodeId('b'), term: term(5) };
const MESSAGES: Readonly<Record<string, Message>> = {
  heartbeat: {
    ...{ kind: 'heartbeat', ...ENVELOPE, seq: 600, commit: logIndex(20), renounced: false },
    promiseMs: durationMs(1641.331658291457),
  },
  'heartbeat-ack': { kind: 'heartbeat-ack', ...ENVELOPE, seq: 600 },
};
it.each(rowsOf('message | bytes'))('a message %s has %s bytes', (kind = '', bytes = '') => {
  const message = MESSAGES[kind.replaceAll('`', '')];
  if (message === undefined) throw new Error(`no example of ${kind}`);
  expect(encodeMessage(message, 'nas')).toHaveLength(Number(bytes));
});

const UNIT: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 * 1024, s: 1000 };

it.each(rowsOf('what | limit | in'))('%s: %s, as %s says', (_what, limit = '', where = '') => {
  const [, file = '', name = ''] = /^`([^`]+)` \(`([^`]+)`\)$/.exec(where) ?? [];
  const [, digits = '', unit = ''] = /^([\d,]+) ?(\w*)$/.exec(limit) ?? [];
  const value = new RegExp(`\\b${name}\\s*[=:]\\s*([\\d_* ]+)`).exec(text(file))?.[1] ?? '';
  const stated = value
    .replaceAll('_', '')
    .split('*')
    .reduce((product, factor) => product * Number(factor), 1);
  expect(stated).toBe(Number(digits.replaceAll(',', '')) * (UNIT[unit] ?? Number.NaN));
});
