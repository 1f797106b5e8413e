/** docs/safety.md is kept in step with the code: every rule is there, and what it names exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAST = { T: 4, L: 8, E: 5, W: 4, H: 7, R: 5, O: 3, D: 4 };
const RULES = Object.entries(LAST).flatMap(([letter, last]) =>
  Array.from({ length: last }, (_, position) => `${letter}${position + 1}`),
);

interface Section {
  readonly rule: string;
  readonly built: string;
  readonly code: string;
  readonly test: string;
}

const page = readFileSync(join(ROOT, 'docs/safety.md'), 'utf8');
const sections: Section[] = page
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const line = (name: string): string => text.match(new RegExp(`^- ${name}: (.*)$`, 'm'))?.[1] ?? '';
    return { rule: text.slice(0, 2), built: line('built'), code: line('code'), test: line('test') };
  });

const pathsIn = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test|cluster|scripts)\/[^`]+)`/g)].map(([, path]) => path ?? '');

/** "`file` (`name`, `name`)" → file with its names. */
const namesIn = (text: string): { path: string; names: string[] }[] =>
  [...text.matchAll(/`(src\/[^`]+)` \(([^)]*)\)/g)].map(([, path, names]) => ({
    path: path ?? '',
    names: [...(names ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ''),
  }));

describe('docs/safety.md', () => {
  it('has every rule once, in order', () => {
    expect(sections.map(({ rule }) => rule)).toEqual(RULES);
  });

  it('knows every rule that the source cites', () => {
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
    const cited = files
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => readFileSync(join(ROOT, 'src', file), 'utf8').match(/(?<=\()[TLEWHROD]\d\b/g) ?? []);
    expect(cited.length).toBeGreaterThan(100);
    expect([...new Set(cited)].filter((rule) => !RULES.includes(rule))).toEqual([]);
  });

  it.each(sections)('$rule says what is built, where it lives and which test shows it', (section) => {
    expect(section.built).toMatch(/^(yes|no|in part)( \(.+\))?$/);
    if (section.built.startsWith('no')) return;
    expect(namesIn(section.code)).not.toEqual([]);
    expect(pathsIn(section.test)).not.toEqual([]);
  });

  it('names only files that exist', () => {
    const missing = pathsIn(page).filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });

  it('names only what is in its file', () => {
    const missing = namesIn(page).flatMap(({ path, names }) => {
      const source = existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : '';
      return names.filter((name) => !source.includes(name)).map((name) => `${path}: ${name}`);
    });
    expect(missing).toEqual([]);
  });
});
