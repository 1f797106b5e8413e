import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CHECKS } from '../../src/doctor/checks.ts';

const document = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8');

it.each(CHECKS.map(({ name }) => name))('docs/doctor.md has the check %s', (name) => {
  expect(document).toContain(`\n| \`${name}\` |`);
});
