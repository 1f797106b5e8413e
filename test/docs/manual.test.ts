/** docs/README.md is the way to every page, and no link or anchor of any page is dead. */
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesBelow, ROOT, text } from '../deployments/support/files.ts';
import { anchorsOf, linksOf, targetsOf, wrongUsesOf } from '../support/pages.ts';

const INDEX = 'docs/README.md';
const RUNBOOKS = 'docs/runbooks/README.md';
const PAGES = filesBelow('docs', '.md');
const OTHERS = ['README.md', 'CONTRIBUTING.md', 'cluster/vmware/README.md'];

const linkedFrom = (page: string): string[] =>
  linksOf(page)
    .filter((link) => !/^https?:/.test(link))
    .map((link) => normalize(join(dirname(page), link)));

it('the table of contents has every page, a runbook by way of its own index', () => {
  const found = new Set([INDEX, ...linkedFrom(INDEX), ...linkedFrom(RUNBOOKS)]);
  expect(found).toContain(RUNBOOKS);
  expect(PAGES.filter((page) => !found.has(page))).toEqual([]);
});

it('the table of contents is found from the front page', () => {
  expect(linkedFrom('README.md')).toContain(INDEX);
});

/** Links to a file, or to a place in one, that is not there. */
function deadTargetsOf(page: string): string[] {
  return targetsOf(page).filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : normalize(join(dirname(page), decodeURI(path)));
    if (!existsSync(join(ROOT, file))) return true;
    return anchor !== undefined && file.endsWith('.md') && !anchorsOf(text(file)).includes(anchor);
  });
}

describe.each([...PAGES, ...OTHERS])('%s', (page) => {
  it('links only to what is there', () => expect(deadTargetsOf(page)).toEqual([]));
});

it('an anchor is made from a heading as the forge makes it', () => {
  const page = '# One: `two` (L5)\n```\n# no heading\n```\n## A, b\n## A, b\n### D1: Checks, a *chain*\n';
  expect(anchorsOf(page)).toEqual(['one-two-l5', 'a-b', 'a-b-1', 'd1-checks-a-chain']);
});

/** Of the repository's own files, in code: those that the build makes do not count. */
const NAMED_FILE = /`((?:src|test|cluster|scripts|proto)\/[\w@./-]*\w)`/g;

describe.each(PAGES)('%s', (page) => {
  it('names commands that exist, with options that they have', async () => {
    expect(await wrongUsesOf(page)).toEqual([]);
  });

  it('names files of the repository that are there', () => {
    const named = [...text(page).matchAll(NAMED_FILE)].map(([, path = '']) => path);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
