/** docs/runbooks: every scenario has its page, and its commands and words are those of the program. */
import { describe, expect, it } from 'vitest';
import { SCENARIOS } from '../../cluster/lab/scenarios/index.ts';
import { renderAudit } from '../../src/cli/audit-text.ts';
import { plain } from '../../src/cli/output.ts';
import type { ElectionReason, EntryBody, Epoch, NodeId, ReleaseReason } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { filesBelow, text } from '../deployments/support/files.ts';
import { a, b, chain, config, w } from '../state/story.ts';
import { blocksOf, deadLinksOf, inlineOf, linksOf, usesOf, wrongUsesOf } from '../support/pages.ts';

const FOLDER = 'docs/runbooks';
const INDEX = `${FOLDER}/README.md`;
const PAGES = filesBelow(FOLDER, '.md').filter((page) => page !== INDEX);

/** Whose faults are those of others: at moments that are drawn, or in a smaller pool; or in which nothing fails. */
const LIKE_OTHERS: readonly string[] = [
  'random-power-cut',
  'replication-failover',
  'replication-model',
  'replication-throughput',
];

it.each(SCENARIOS.map(({ name }) => name).filter((name) => !LIKE_OTHERS.includes(name)))(
  'the scenario %s has a page',
  (name) => {
    expect(PAGES).toContain(`${FOLDER}/${name}.md`);
  },
);

it('the index has every page, and is found', () => {
  expect(linksOf(INDEX)).toEqual(expect.arrayContaining(PAGES.map((page) => page.slice(FOLDER.length + 1))));
  expect(linksOf('README.md')).toContain(INDEX);
  expect(linksOf('docs/lab.md')).toContain('runbooks/README.md');
});

const EPOCH = 12 as Epoch;
const NODES: readonly NodeId[] = [a, b, w];
const OTHER: Readonly<Record<string, NodeId>> = { a: b, b: a };
const ELECTIONS: readonly ElectionReason[] = ['boot', 'leader-silent', 'released', 'transfer', 'operator'];
const RELEASES: readonly ReleaseReason[] = [
  'switchover',
  'lease-lost',
  'agent-died',
  'stale-data',
  'failure',
];

/** Every sentence of the audit that a page may quote, for each node. */
function sentences(): string[] {
  const bodies = [a, b].flatMap((node): EntryBody[] => {
    const other = OTHER[node] ?? a;
    const voters = [[node, w], [node, other], NODES];
    const at = null;
    return [
      ...voters.flatMap((votes) =>
        ELECTIONS.map((reason): EntryBody => {
          const times = { detectMs: 400, electMs: 12, caretaker: false, at } as const;
          return { kind: 'elected', leader: node, votes, reason, ...times };
        }),
      ),
      ...RELEASES.flatMap((reason) =>
        [null, other].map((successor): EntryBody => {
          const evidence = 'role Secondary';
          return { kind: 'tenure-released', epoch: EPOCH, node, reason, evidence, successor, at };
        }),
      ),
      { kind: 'tenure-granted', node, at },
      { kind: 'takeover-done', epoch: EPOCH, node, ok: true, totalMs: 300, steps: [], at },
      { kind: 'peer-outdated', peer: node, epoch: EPOCH },
      { kind: 'peer-in-sync', peer: node, epoch: EPOCH },
      { kind: 'node-outdated', node, epoch: EPOCH },
      { kind: 'fenced', epoch: EPOCH, node, outcome: 'stopped', detail: '', ms: 3000, at },
    ];
  });
  const entries = chain([0, config()], ...bodies.map((body) => [1, body] as const));
  const lines = renderAudit(entries, audit(entries, sha256), plain);
  return lines.flatMap((line) => /term \d+: (.*)$/.exec(line)?.[1] ?? []);
}

describe.each([...PAGES, INDEX])('%s', (page) => {
  it('names commands that exist, with options that they have, and pages that are there', async () => {
    expect(usesOf(page).length).toBeGreaterThan(0);
    expect(await wrongUsesOf(page)).toEqual([]);
    expect(deadLinksOf(page)).toEqual([]);
  });

  it('quotes the audit in its own words', () => {
    const known = sentences();
    const quoted = [...blocksOf(page).flatMap((block) => block.split('\n')), ...inlineOf(page)]
      .filter((line) =>
        /^[ab] (elected|may hold|has |holds everything|is (out of|in) sync|is fenced)/.test(line),
      )
      .map((line) => line.split('…')[0] ?? '');
    expect(quoted.filter((start) => !known.some((sentence) => sentence.startsWith(start)))).toEqual([]);
  });

  it('has words of the program, of DRBD, or names of pages only', () => {
    const ours = filesBelow('src', '.ts').map(text).join('\n');
    const names = inlineOf(page).filter((code) => /^[a-z]+(-[a-z0-9]+)+$/.test(code));
    expect(names.filter((name) => !ours.includes(name) && !/^after-sb/.test(name))).toEqual([]);
  });
});

it.each(PAGES)('%s says what is seen, what the system does, and what to do', (page) => {
  const heads = text(page).match(/^## .*$/gm);
  expect(heads).toEqual(['## What you see', '## What the system does', '## What to do']);
});
