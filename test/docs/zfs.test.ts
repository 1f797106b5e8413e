/** The examples of docs/zfs.md are configs that start. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';
import { configDirectory, GOOD } from '../config/fixture.ts';

const page = readFileSync(new URL('../../docs/zfs.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n(resources:\n[^`]*)```/g)].map(([, text]) => text ?? '');

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());

it.each(['a', 'b', 'w'])('on node %s', (node) => {
  expect(examples).toHaveLength(2);
  for (const example of examples) {
    const text = GOOD.slice(0, GOOD.indexOf('resources:')) + example;
    const { config, problems } = parseConfig(text, `${directory}/q.yaml`, { node });
    expect(problems).toEqual([]);
    expect(config?.resources.some(({ kind }) => kind === 'zfs-pool')).toBe(true);
  }
});
