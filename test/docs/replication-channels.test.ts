/** docs/replication-channels.md: its commands exist, its keys are those of the schema, its examples are configs. */
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { replicationSection } from '../../src/config/schema.ts';
import { text } from '../deployments/support/files.ts';
import { blocksOf, deadLinksOf, usesOf, wrongUsesOf } from '../support/pages.ts';

const PAGE = 'docs/replication-channels.md';
const page = text(PAGE);

it('names commands that exist, with options that they have, and pages that are there', async () => {
  const commands = usesOf(PAGE).map(({ command }) => command);
  expect(commands).toEqual(expect.arrayContaining(['replication pair', 'replication serve']));
  expect(await wrongUsesOf(PAGE)).toEqual([]);
  expect(deadLinksOf(PAGE)).toEqual([]);
});

it('has examples that are configs', () => {
  const examples = (blocksOf(PAGE)[0] ?? '').trim().split('\n');
  expect(examples).toHaveLength(2);
  for (const example of examples)
    expect(replicationSection.safeParse(parse(example).replication)).toMatchObject({ success: true });
});

it('says what every key of a channel means, of each kind in its own table', () => {
  const { options } = replicationSection.shape.channel.unwrap();
  const tables = page.split('| key of `replication.channel` |').slice(1);
  expect(tables).toHaveLength(options.length);
  for (const [at, option] of options.entries()) {
    const rows = (tables[at]?.split('\n\n')[0] ?? '').matchAll(/^\| `(\w+)` \|/gm);
    const told = [...rows].map(([, key]) => key);
    expect(told.toSorted()).toEqual(Object.keys(option.shape).toSorted());
  }
});
