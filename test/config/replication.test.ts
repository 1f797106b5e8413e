/** The section `replication`: what it means, and each mistake with its line and a hint. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';
import { configDirectory, GOOD } from './fixture.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());

const parse = (section: string, text = GOOD) => parseConfig(`${text}${section}\n`, `${directory}/q.yaml`);

it('is absent, or names pools and patterns', () => {
  expect(parse('').config?.replication).toBeNull();
  expect(parse('replication: {pools: [tank]}').config?.replication).toEqual({
    pools: ['tank'],
    include: [],
    exclude: [],
  });
  const section = 'replication: {pools: [tank, bulk], include: [tank/home], exclude: ["*/tmp", "bulk/*/c"]}';
  expect(parse(section).problems).toEqual([]);
});

it.each([
  ['no pools', '{}', /replication\.pools: is missing/],
  ['none of them', '{pools: []}', /replication\.pools: is too short/],
  ['a name that is none', '{pools: [tank/home]}', /pools\[0\]: "tank\/home" is not the name of a ZFS pool/],
  ['one twice', '{pools: [tank, tank]}', /pools\[1\]: "tank" is there twice/],
  [
    'a pattern of another pool',
    '{pools: [tank], exclude: [tnak/tmp]}',
    /exclude\[0\]: "tnak" is none of the pools \(did you mean "tank"\?\)/,
  ],
  ['a snapshot', '{pools: [tank], include: [tank@s1]}', /include\[0\]: "tank@s1" is not a dataset's name/],
  ['a key that does not exist', '{pools: [tank], period: 60s}', /replication\.period: unknown key/],
])('%s: a problem with its line', (_what, section, problem) => {
  const { problems } = parse(`replication: ${section}`);
  expect(problems).toEqual([expect.stringMatching(problem)]);
  expect(problems[0]).toMatch(/q\.yaml:20: /);
});

it('needs two data nodes', () => {
  const three = GOOD.replace('witness: true', 'witness: false').replace(/^ {2}- .*eip.*\n/m, '');
  expect(parse('replication: {pools: [tank]}', three).problems).toEqual([
    expect.stringContaining('replication: snapshots go from one data node to one other, the config has 3'),
  ]);
});
