/** docs/inspect.md: its commands exist, its kinds are those of the code, and its sample is what the command prints. */
import { expect, it } from 'vitest';
import { inspectHeading } from '../../src/cli/inspect-text.ts';
import { plain } from '../../src/cli/output.ts';
import { KINDS, MOST_VIEWERS, VIEWER_LIMITS } from '../../src/inspect/index.ts';
import { text } from '../deployments/support/files.ts';
import { deadLinksOf, linksOf, usesOf, wrongUsesOf } from '../support/pages.ts';

const PAGE = 'docs/inspect.md';
const page = text(PAGE);

it('names commands that exist, with options that they have, and is found', async () => {
  expect(usesOf(PAGE).map(({ command }) => command)).toContain('inspect');
  expect(await wrongUsesOf(PAGE)).toEqual([]);
  expect(deadLinksOf(PAGE)).toEqual([]);
  expect(linksOf('README.md')).toContain(PAGE);
});

it('has every kind, and no other', () => {
  const row = (channel: string): string[] => {
    const found = new RegExp(`^\\| \`${channel}\` \\|(.*)\\|$`, 'm').exec(page)?.[1] ?? '';
    return [...found.matchAll(/`([a-z-]+)`/g)].map(([, kind = '']) => kind);
  };
  expect(row('peer').toSorted()).toEqual(KINDS.peer.toSorted());
  expect(row('executor').toSorted()).toEqual([...KINDS.orders, ...KINDS.reports].toSorted());
});

it('has the head and the columns of the command', () => {
  const heading = inspectHeading(plain);
  const [, sample = ''] = page.split(`\`\`\`\n${heading}\n`);
  const lines = sample.slice(0, sample.indexOf('```')).trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(15);
  for (const line of lines)
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}[→←] .{9} {2}.{25} {2}.{8} {2}\S/);
});

it('says the limits that there are', () => {
  expect(MOST_VIEWERS).toBe(4);
  expect(page).toContain('At most four look');
  expect(page).toContain(`a queue of ${VIEWER_LIMITS.observations.toLocaleString('en')} messages or 1 MiB`);
  expect(VIEWER_LIMITS.weightBytes).toBe(1024 * 1024);
});
