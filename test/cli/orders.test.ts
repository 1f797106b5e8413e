/** `quorate pause | resume | standby | activate`, against the admin service with an agent that answers what it is told. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditLines } from '../../src/cli/audit-text.ts';
import { plain } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';
import { renderSwitchover } from '../../src/cli/switchover.ts';
import { nodeId } from '../../src/core/index.ts';
import { EXIT, QuorateError } from '../../src/errors.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { type FakeAgent, identities, STATUS, startFakeAgent } from '../admin/fake.ts';
import { a, b, chain, config, elected, onStandby, paused } from '../state/story.ts';
import { captured } from './captured.ts';

let agent: FakeAgent;
beforeAll(async () => {
  agent = await startFakeAgent(await identities());
});
afterAll(() => agent.close());
beforeEach(() => {
  agent.backend.asked.length = 0;
  agent.backend.failure = null;
  agent.backend.statusDocument = STATUS;
  agent.backend.needsEpoch = false;
});

const quorate = (...words: string[]) => captured(() => run(words));
const inDirectory = (name: string): string => join(agent.directory, name);
const withConfig = (): string[] => ['--config', inDirectory('q.yaml')];
const asRole = (role: string): string[] => [
  ...['--address', agent.address, '--tls-ca', inDirectory('ca.pem')],
  ...['--tls-cert', inDirectory(`${role}.pem`), '--tls-key', inDirectory(`${role}.key`)],
];

describe('pause and resume', () => {
  it('say what holds from now on, with who has said it and why', async () => {
    const { code, out } = await quorate('pause', '--why', 'new switch', ...asRole('operator'));
    expect(code).toBe(EXIT.done);
    expect(out).toMatch(/^paused \(entry 21\)\nThe holder goes on, .*"quorate resume"\.\n$/);
    expect((await quorate('resume', ...withConfig())).out).toBe('resumed (entry 22): takeovers as ever\n');
    expect(agent.backend.asked).toMatchObject([
      {
        pause: {
          why: 'new switch',
          who: expect.stringMatching(/\(quorate:\/\/nas-prod\/client\/operator\/alice\)$/),
        },
      },
      { resume: { why: '' } },
    ]);
  });

  it('--json prints one document', async () => {
    const { out } = await quorate('pause', '--json', '--why', 'x', ...withConfig());
    expect(JSON.parse(out)).toMatchObject({ paused: true, changed: true, index: 21, since: { why: 'x' } });
    const { out: resumed } = await quorate('resume', '--json', ...withConfig());
    expect(JSON.parse(resumed)).toEqual({
      paused: false,
      changed: true,
      index: 22,
      since: null,
      alreadyDone: false,
    });
  });

  it('say where the log has no id of the request, because a voter is of an older version', () => {
    const moved = { dryRun: false, from: nodeId('a'), to: nodeId('b'), epoch: 9, totalMs: 48 };
    const rest = { steps: [], checks: [], alreadyDone: false };
    const lines = (idNotInLog: boolean) =>
      renderSwitchover({ ...moved, ...rest, idNotInLog }, plain).join('\n');
    expect(lines(true)).toMatch(/moved from a to b.*\n.*older version: look at "quorate status" before/);
    expect(lines(false)).not.toContain('older');
  });

  it('pass the id and the epoch that they were given on', async () => {
    await quorate('pause', '--request-id', 'request-1', ...withConfig());
    await quorate('switchover', '--request-id', 'request-2', '--expect-epoch', '8', ...withConfig());
    await quorate('standby', 'b', '--request-id', 'request-3', '--expect-epoch', '0', ...withConfig());
    await quorate('failover', '--to', 'b', '--accept-data-loss', '--expect-epoch', '9', ...withConfig());
    expect(agent.backend.asked).toMatchObject([
      { pause: { requestId: 'request-1' } },
      { requestId: 'request-2', expectedEpoch: 8 },
      { standby: { requestId: 'request-3', expectedEpoch: 0 } },
      { expectedEpoch: 9 },
    ]);
    const { code, err } = await quorate('switchover', '--expect-epoch', 'x', ...withConfig());
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining('--expect-epoch')]);
  });

  it('in mid-upgrade say which epoch they end, as the status shows it; one with an id of its own may be a repeat', async () => {
    agent.backend.needsEpoch = true;
    const move = ['switchover', '--to', 'b'];
    const force = ['failover', '--to', 'b', '--accept-data-loss'];
    expect(STATUS.epoch).not.toBeNull();
    for (const words of [move, force]) {
      agent.backend.asked.length = 0;
      expect((await quorate(...words, ...withConfig())).code).toBe(EXIT.done);
      expect(agent.backend.asked).toMatchObject([{ expectedEpoch: null }, { expectedEpoch: STATUS.epoch }]);
      agent.backend.asked.length = 0;
      const repeat = await quorate(...words, '--request-id', 'request-5', ...withConfig());
      expect(repeat.code).toBe(EXIT.refused);
      expect(agent.backend.asked).toHaveLength(1);
    }
    agent.backend.statusDocument = { ...STATUS, holder: null, epoch: null };
    expect((await quorate(...force, ...withConfig())).code).toBe(EXIT.done);
    expect(agent.backend.asked.at(-1)).toMatchObject({ expectedEpoch: 0 });
    // Any other refusal is told, and nothing is asked again.
    agent.backend.asked.length = 0;
    agent.backend.failure = new QuorateError('refused-unsafe', 'b is not in sync');
    expect((await quorate(...move, ...withConfig())).code).toBe(EXIT.refused);
    expect(agent.backend.asked).toHaveLength(1);
  });

  it('are for operators', async () => {
    for (const command of [['pause'], ['resume'], ['standby', 'b'], ['activate', 'b']]) {
      const { code, err } = await quorate(...command, ...asRole('viewer'));
      expect([code, err]).toEqual([EXIT.failed, expect.stringContaining('needs the role operator')]);
    }
    expect(agent.backend.asked).toEqual([]);
  });

  it('status shows it', async () => {
    const [first, ...rest] = STATUS.nodes;
    if (first === undefined) throw new Error('no node');
    agent.backend.statusDocument = { ...STATUS, paused: true, nodes: [{ ...first, standby: true }, ...rest] };
    const { out } = await quorate('status', ...withConfig());
    expect(out).toContain('paused: no automatic takeover');
    expect(out).toMatch(/\na +data +us-east-1a +leader, standby +in sync/);
  });
});

describe('standby and activate', () => {
  it('name the node, and the switchover that it took', async () => {
    const { code, out } = await quorate('standby', 'a', '--why', 'new disk', ...withConfig());
    expect(code).toBe(EXIT.done);
    expect(out).toMatch(
      /^a is on standby \(entry 23\): it holds nothing until "quorate activate a"\nmoved from a to b, epoch 26, 50 ms\n/,
    );
    expect((await quorate('standby', 'b', ...withConfig())).out).not.toContain('moved');
    expect((await quorate('activate', 'b', ...withConfig())).out).toBe(
      'b was active already: nothing done\n',
    );
    const { out: json } = await quorate('standby', 'b', '--json', ...withConfig());
    expect(JSON.parse(json)).toEqual({
      node: 'b',
      standby: true,
      changed: true,
      index: 23,
      moved: null,
      alreadyDone: false,
    });
  });

  it('4: a refusal ends with its reason, and what to do', async () => {
    agent.backend.failure = new QuorateError(
      'cluster-paused',
      'switchover to b refused: the cluster is paused',
    );
    const { code, out, err } = await quorate('standby', 'a', ...withConfig());
    expect({ code, out }).toEqual({ code: EXIT.refused, out: '' });
    expect(err).toMatch(/^quorate: switchover to b refused: .*`quorate resume`.*\[cluster-paused\]\n$/);
  });

  it.each([[['standby']], [['activate']], [['standby', 'B!']], [['standby', 'a', 'b']]])(
    '2: %j',
    async (words) => {
      const { code, err } = await quorate(...words, ...withConfig());
      expect([code, err.trimEnd().split('\n').length]).toEqual([EXIT.usage, 1]);
    },
  );
});

it('the audit tells them as sentences', () => {
  const log = chain(
    ...[[0, config()] as const, [1, elected(a)] as const, [1, paused(true)] as const],
    ...[[1, onStandby(b, true)] as const, [1, onStandby(b, false)] as const, [1, paused(false)] as const],
  );
  const texts = auditLines(log, audit(log, sha256), plain).map(({ text }) => text);
  expect(texts.slice(2)).toEqual([
    'root@nas-a paused the cluster',
    'root@nas-a put b on standby: new disk',
    'root@nas-a made b active again: new disk',
    'root@nas-a resumed the cluster',
  ]);
  expect(audit(log, sha256).operators.map(({ index }) => index)).toEqual([3, 4, 5, 6]);
});
