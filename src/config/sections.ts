/** Runs one section's schema and turns zod's issues into problems of the file. */
import type { z } from 'zod';
import type { Path, Problems } from './problems.ts';
import { show } from './scalars.ts';
import { HINT_MARK } from './schema-parts.ts';
import { suggest } from './suggest.ts';

/**
 * The section's value, or null when it cannot be used. Unknown keys are reported and dropped, so that the rest of
 * the section is still checked and every error shows at the first run.
 */
export function readSection<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: Path,
  problems: Problems,
): z.output<Schema> | null {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  let salvaged = value;
  let isUsable = true;
  for (const issue of result.error.issues) {
    const at = [
      ...path,
      ...issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment))),
    ];
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) reportUnknownKey(problems, at, key, keysOf(schema));
      salvaged = withoutKeys(salvaged, issue.path.length === 0 ? issue.keys : []);
      if (issue.path.length > 0) isUsable = false;
      continue;
    }
    isUsable = false;
    problems.add(at, ...describe(issue, at.slice(path.length).reduce<unknown>(childOf, value)));
  }
  if (!isUsable) return null;
  const again = schema.safeParse(salvaged);
  return again.success ? again.data : null;
}

export function reportUnknownKey(
  problems: Problems,
  path: Path,
  key: string,
  known: readonly string[],
): void {
  const near = suggest(key, known);
  const hint = near === null ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`;
  problems.add([...path, key], 'unknown key', hint);
}

function describe(issue: z.core.$ZodIssue, value: unknown): readonly [why: string, hint: string | null] {
  switch (issue.code) {
    case 'invalid_type': {
      const expected = TYPE_WORDS[issue.expected] ?? issue.expected;
      if (value === undefined) return ['is missing', `expected ${expected}`];
      const hint = issue.expected === 'string' && typeof value !== 'object' ? 'put it in quotes' : null;
      return [`expected ${expected}, got ${show(value)}`, hint];
    }
    case 'invalid_value': {
      const allowed = issue.values.map(String);
      const near = typeof value === 'string' ? suggest(value, allowed) : null;
      const hint = near === null ? `one of ${allowed.join(', ')}` : `did you mean "${near}"?`;
      return [value === undefined ? 'is missing' : `${show(value)} is not possible here`, hint];
    }
    case 'too_small':
      return [`is too short, the least is ${issue.minimum}`, null];
    case 'too_big':
      return [`is too long, the limit is ${issue.maximum}`, null];
    default: {
      const [why = '', hint = null] = issue.message.split(HINT_MARK);
      if (value === undefined) return ['is missing', hint];
      return [why.startsWith('is ') || why.startsWith('must ') ? `${show(value)} ${why}` : why, hint];
    }
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  string: 'a text',
  boolean: 'true or false',
  number: 'a number',
};

function keysOf(schema: z.ZodType): readonly string[] {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null
    ? Object.keys(schema.shape)
    : [];
}

function childOf(value: unknown, segment: string | number): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, segment) ? (value as Record<string | number, unknown>)[segment] : undefined;
}

function withoutKeys(value: unknown, keys: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}
