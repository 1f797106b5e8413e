/** `quorate replication status` and `run`, against the admin service with an agent that answers what it is told. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReplicationDocument } from '../../src/admin/index.ts';
import { plain } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';
import { renderReplication } from '../../src/cli/replication-status-text.ts';
import { EXIT, QuorateError } from '../../src/errors.ts';
import { type FakeAgent, identities, REPLICATION, startFakeAgent } from '../admin/fake.ts';
import { captured } from './captured.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 5, 5);

let agent: FakeAgent;
let answers: ReplicationDocument[] = [];
beforeAll(async () => {
  agent = await startFakeAgent(await identities());
  agent.backend.replication = () => (answers.length > 1 ? answers.shift() : answers[0]) ?? REPLICATION;
});
afterAll(() => agent.close());
beforeEach(() => {
  agent.backend.asked.length = 0;
  agent.backend.failure = null;
  answers = [];
});

const quorate = (...words: string[]) =>
  captured(() => run(['replication', ...words, '--config', join(agent.directory, 'q.yaml')]));

/** One round with one dataset, in that state. */
const after = (number: number, state: 'current' | 'waiting' | 'sending' | 'failed'): ReplicationDocument => {
  const [one] = REPLICATION.datasets;
  if (one === undefined) throw new Error('no dataset');
  return { ...REPLICATION, round: { ...REPLICATION.round, number }, datasets: [{ ...one, state }] };
};

describe('the text', () => {
  it('says what needs somebody first, in 80 columns', () => {
    const lines = renderReplication(REPLICATION, NOW, plain);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines).toEqual([
      'nas-prod: from a to b, round 7, 60 s ago',
      '          dataset    lag      every  now',
      'conflict  tank/mail  ?        1min',
      'sending   tank/bulk  no copy  60min  1 GiB of 4 GiB, 64 MiB/s, 48 s left',
      'current   tank/home  65 s     1min',
      'tank/mail: b has @by-hand that a does not have, newer than the newest that',
      '  both know: nothing is sent',
      'tank/mail: 5 min ago: b: no space',
    ]);
  });

  it('says a problem of all of them, and who holds where this node does not send', () => {
    const problem = `tank: what b has of it is not known: ${'x'.repeat(200)}`;
    const lines = renderReplication({ ...REPLICATION, round: { ...REPLICATION.round, problem } }, NOW, plain);
    expect(lines[1]).toBe('! tank: what b has of it is not known:');
    const idle = { ...REPLICATION, isSending: false, to: null, datasets: [] };
    expect(renderReplication({ ...idle, holder: 'b' }, NOW, plain)).toEqual([
      'nas-prod: a does not send: ask b, which holds',
    ]);
    expect(renderReplication({ ...idle, holder: null }, NOW, plain)).toEqual([
      'nas-prod: a does not send: nobody holds',
    ]);
  });
});

describe('status', () => {
  it('--json is the document, and a conflict is exit code 1', async () => {
    const { code, out } = await quorate('status', '--json');
    expect(JSON.parse(out)).toEqual(REPLICATION);
    expect(code).toBe(EXIT.failed);
    answers = [after(7, 'current')];
    expect((await quorate('status')).code).toBe(EXIT.done);
  });

  it('--json and --watch do not go together', async () => {
    expect((await quorate('status', '--json', '--watch')).code).toBe(EXIT.usage);
  });
});

describe('run', () => {
  it('waits until its round has come to its end', async () => {
    answers = [after(7, 'current'), after(8, 'waiting'), after(8, 'sending'), after(8, 'current')];
    const { code, out } = await quorate('run', 'tank/bulk');
    expect(code).toBe(EXIT.done);
    expect(out).toContain('round 8');
    expect(answers).toHaveLength(1);
    expect(agent.backend.asked).toMatchObject([{ runReplication: 'tank/bulk' }]);
  });

  it('says by its exit code that it has failed', async () => {
    answers = [after(8, 'failed')];
    expect((await quorate('run')).code).toBe(EXIT.failed);
    expect(agent.backend.asked).toMatchObject([{ runReplication: null }]);
  });

  it('does not wait longer than it is told, nor at all where that is asked', async () => {
    answers = [after(8, 'sending')];
    expect((await quorate('run', '--timeout', '1')).code).toBe(EXIT.unknown);
    const { code, out } = await quorate('run', '--no-wait');
    expect([code, out]).toEqual([
      EXIT.done,
      'round 8 will have it: "quorate replication status" shows how far it is\n',
    ]);
  });

  it('ends where the node does not send, or does not send any more', async () => {
    agent.backend.failure = new QuorateError('replication-not-sending', 'a does not send');
    expect((await quorate('run')).err).toContain('[replication-not-sending]');
    agent.backend.failure = null;
    answers = [{ ...after(8, 'sending'), isSending: false }];
    expect((await quorate('run')).err).toContain('does not send any more');
  });
});
