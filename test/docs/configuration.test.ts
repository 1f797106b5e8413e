/** docs/configuration.md has every key of the schema with its default, its range and its choices, as the schema has them. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { formatDuration } from '../../src/config/index.ts';
import { resourceSections } from '../../src/config/resource-schema.ts';
import * as schemas from '../../src/config/schema.ts';
import { text } from '../deployments/support/files.ts';

const page = text('docs/configuration.md');

/** Where a section's keys stand, if not under its own name. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  memberSection: ['members.ID.'],
  listenSection: ['admin.', 'http.'],
};
/** What is optional as a whole: without the section its required key has this in the place of a default. */
const WITHOUT: Readonly<Record<string, string>> = { 'http.listen': 'no HTTP' };

interface Key {
  readonly name: string;
  readonly kind: string | null;
  readonly schema: z.ZodType;
}

function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return unwrapped(schema.unwrap() as z.ZodType);
  return schema;
}

function keysOf(section: z.ZodObject, prefix: string, kind: string | null): Key[] {
  return Object.entries(section.shape).flatMap(([key, schema]): Key[] => {
    const inner = unwrapped(schema as z.ZodType);
    if (inner instanceof z.ZodObject) return keysOf(inner, `${prefix}${key}.`, kind);
    return [{ name: `${prefix}${key}`, kind, schema: schema as z.ZodType }];
  });
}

const SECTIONS = Object.entries(schemas).flatMap(([name, schema]) =>
  schema instanceof z.ZodObject ? [[name, schema] as const] : [],
);
const KEYS: readonly Key[] = [
  ...SECTIONS.flatMap(([name, section]) =>
    (PLACES[name] ?? [`${name.replace(/Section$/, '')}.`]).flatMap((prefix) => keysOf(section, prefix, null)),
  ),
  ...Object.entries(resourceSections).flatMap(([kind, section]) => keysOf(section, 'resources[].', kind)),
];

/** The row of a key, by the names of its table's columns. For a resource the one of its kind, or of all. */
function rowOf({ name, kind }: Key): Readonly<Record<string, string>> {
  let heading = '';
  let columns: string[] = [];
  for (const line of page.split('\n')) {
    if (line.startsWith('#')) heading = line;
    if (!line.startsWith('|')) columns = [];
    else if (columns.length === 0) columns = cellsOf(line);
    else {
      const row = Object.fromEntries(cellsOf(line).map((cell, at) => [columns[at] ?? '', cell]));
      if (row.key?.includes(`\`${name}\``) === true && isOfKind(row.kind, kind, heading)) return row;
    }
  }
  throw new Error(`docs/configuration.md has no row for ${name}${kind === null ? '' : ` of ${kind}`}`);
}

const cellsOf = (line: string): string[] =>
  line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

function isOfKind(cell: string | undefined, kind: string | null, heading: string): boolean {
  if (cell === undefined || kind === null) return true;
  return (cell.startsWith('all ') ? heading : cell).includes(`\`${kind}\``);
}

/** How a default may be written. */
function writtenForms(value: unknown): string[] {
  if (typeof value === 'number') return [`${value}`, formatDuration(value), `${value * 100}%`];
  return [String(value)];
}

const isNothing = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** One that takes "1h", "1s" or "50ms" and no other text. */
const isDuration = (schema: z.ZodType): boolean =>
  !schema.safeParse('text').success && ['1h', '1s', '50ms'].some((value) => schema.safeParse(value).success);

const LABELLED = KEYS.map(
  (key) => [`${key.name}${key.kind === null ? '' : ` of ${key.kind}`}`, key] as const,
);

describe('docs/configuration.md', () => {
  it('is compared with the whole schema', () => {
    expect(SECTIONS.map(([name]) => name)).toEqual(expect.arrayContaining(['timingSection', 'tlsSection']));
    expect(KEYS.length).toBeGreaterThan(80);
  });

  it.each(LABELLED)('has the default of %s, or that it is required', (_label, key) => {
    const said = rowOf(key).default ?? '';
    const { schema } = key;
    if (WITHOUT[key.name] !== undefined) expect(said).toBe(WITHOUT[key.name]);
    else if (schema instanceof z.ZodDefault && !isNothing(schema.def.defaultValue))
      expect(writtenForms(schema.def.defaultValue).map((form) => `\`${form}\``)).toContain(said);
    else if (schema.safeParse(undefined).success) expect(said).not.toContain('required');
    else expect(said).toContain('required');
  });

  it.each(LABELLED.filter(([, { schema }]) => isDuration(unwrapped(schema))))(
    'has the range of %s',
    (_label, key) => {
      const { range = '', meaning = '' } = rowOf(key);
      const [, least = '', most = ''] = /(\d\w*) – (\d\w*)/.exec(`${range} ${meaning}`) ?? [];
      const takes = (value: string): boolean => unwrapped(key.schema).safeParse(value).success;
      const scaled = (value: string, factor: number): string =>
        value.replace(/\d+/, (digits) => String(Number(digits) * factor));
      expect([least, most].map(takes)).toEqual([true, true]);
      expect([scaled(least, 0.99), scaled(most, 1.01)].map(takes)).toEqual([false, false]);
    },
  );

  it.each(LABELLED.filter(([, { schema }]) => unwrapped(schema) instanceof z.ZodNumber))(
    'has the range of the number %s',
    (_label, key) => {
      const { minValue, maxValue } = unwrapped(key.schema) as z.ZodNumber;
      expect(rowOf(key).meaning).toContain(`${minValue} to ${maxValue}`);
    },
  );

  it.each(LABELLED.filter(([, { schema }]) => unwrapped(schema) instanceof z.ZodEnum))(
    'has the choices of %s',
    (_label, key) => {
      const { meaning, default: said } = rowOf(key);
      for (const choice of (unwrapped(key.schema) as z.ZodEnum).options)
        expect(`${said} ${meaning}`).toContain(`\`${choice}\``);
    },
  );

  it.each(LABELLED.filter(([, { schema }]) => unwrapped(schema) instanceof z.ZodArray))(
    'has the length of %s',
    (_label, key) => {
      const checks = (unwrapped(key.schema) as z.ZodArray).def.checks ?? [];
      const most = checks.flatMap(({ _zod: { def } }) => ('maximum' in def ? [def.maximum] : []));
      expect(most).toHaveLength(1);
      expect(rowOf(key).meaning).toMatch(new RegExp(`(at most|1 to) ${most[0]}\\b`));
    },
  );
});
