/** docs/replication.md: its commands exist, its reasons and words are those of the planner, its example is a config. */
import { expect, it } from 'vitest';
import { text } from '../deployments/support/files.ts';
import { deadLinksOf, usesOf, wrongUsesOf } from '../support/pages.ts';

const PAGE = 'docs/replication.md';
const page = text(PAGE);

it('names commands that exist, with options that they have, and pages that are there', async () => {
  expect(usesOf(PAGE).map(({ command }) => command)).toContain('replication discover');
  expect(await wrongUsesOf(PAGE)).toEqual([]);
  expect(deadLinksOf(PAGE)).toEqual([]);
});

it('has every reason of a conflict, and no other', () => {
  const union = /type ConflictReason =([^;]*);/.exec(text('src/replication/decide.ts'))?.[1] ?? '';
  const reasons = [...union.matchAll(/'([a-z-]+)'/g)].map(([, reason]) => reason);
  const rows = page.slice(page.indexOf('| reason |'), page.indexOf('## `--json`'));
  const told = [...rows.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, reason]) => reason);
  expect(reasons.length).toBeGreaterThan(5);
  expect(told.toSorted()).toEqual(reasons.toSorted());
});
