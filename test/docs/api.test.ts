/** docs/api.md is kept in step with the tables that it shows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LEAST_ROLE } from '../../src/admin/authorise.ts';
import { VIOLATION_TYPES } from '../../src/refusal.ts';

const page = readFileSync(join(fileURLToPath(new URL('../..', import.meta.url)), 'docs/api.md'), 'utf8');

it('has every type of violation, in the same words', () => {
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (.*) \|$/gm)].map(([, type, what]) => [type, what]);
  expect(rows).toEqual(Object.entries(VIOLATION_TYPES));
});

it('says which role each call needs', () => {
  const rows = [...page.matchAll(/^\| (`[A-Z]\w+`(?:, `\w+`)*) \| (\w+) \| `/gm)];
  const roles = rows.flatMap(([, calls = '', role]) =>
    [...calls.matchAll(/`(\w+)`/g)].map(([, call]): [string, string | undefined] => [call ?? '', role]),
  );
  expect(Object.fromEntries(roles)).toEqual(LEAST_ROLE);
});
