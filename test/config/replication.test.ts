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
    channel: null,
    send: null,
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

it('has a channel, whose hosts are those of the agents where it names no others', () => {
  const { config, problems } = parse('replication: {pools: [tank], channel: {kind: ssh, hosts: {b: nas-b}}}');
  expect(problems).toEqual([]);
  expect(config?.replication?.channel).toEqual({
    kind: 'ssh',
    user: 'root',
    port: 22,
    hosts: { a: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/), b: 'nas-b' },
    authorizedKeys: null,
    hostKeys: null,
    command: null,
  });
  const grpc = parse('replication: {pools: [tank], channel: {kind: grpc}}').config?.replication?.channel;
  expect(grpc).toMatchObject({ kind: 'grpc', port: 7405 });
});

it.each([
  ['a kind that there is not', '{kind: rsh}', /channel\.kind/],
  [
    'a host that is an option',
    '{kind: ssh, hosts: {a: "-oProxyCommand=x"}}',
    /is not a host name or address/,
  ],
  ['a node that is none', '{kind: ssh, hosts: {z: nas-z}}', /"z" is no data node/],
  ['a user that is none', '{kind: ssh, user: "root -v"}', /is not the name of a user/],
  ['a port that is none', '{kind: grpc, port: 70000}', /channel\.port/],
  ['a key that does not exist', '{kind: grpc, user: root}', /channel\.user: unknown key/],
])('%s of the channel: a problem', (_what, channel, problem) => {
  const { problems } = parse(`replication: {pools: [tank], channel: ${channel}}`);
  expect(problems).toEqual([expect.stringMatching(problem)]);
});

it('sends by one policy, with overrides that say only what is different', () => {
  const section =
    'replication: {pools: [tank], send: {period: 30s, keep: {last: 5}, bandwidth: 50MiB/s, answer: 90s, overrides: [{datasets: [tank/bulk], period: 1h, windows: ["22:00-06:00"], keep_copy: {last: 2, daily: 30}}]}}';
  const { config, problems } = parse(section);
  expect(problems).toEqual([]);
  const grid = { hourly: 24, daily: 14, weekly: 8, monthly: 0, yearly: 0 };
  const keep = { last: 5, ...grid };
  expect(config?.replication?.send).toEqual({
    policy: { periodMs: 30_000, keep, keepCopy: keep, windows: [] },
    bytesPerSecond: 50 * 1024 * 1024,
    answerMs: 90_000,
    overrides: [
      {
        datasets: ['tank/bulk'],
        policy: {
          periodMs: 3_600_000,
          keep,
          keepCopy: { last: 2, ...grid, daily: 30 },
          windows: [{ fromMinute: 22 * 60, toMinute: 6 * 60 }],
        },
      },
    ],
  });
  expect(parse('replication: {pools: [tank], send: {}}').config?.replication?.send?.policy).toMatchObject({
    periodMs: 60_000,
    keep: { last: 60 },
    keepCopy: { last: 60 },
  });
});

it.each([
  ['a period that is too short', '{period: 100ms}', /send\.period: 100ms is out of range/],
  ['an answer that nobody can give', '{answer: 10ms}', /send\.answer: 10ms is out of range/],
  ['a rate without a unit', '{bandwidth: 50}', /send\.bandwidth: expected bytes per second/],
  ['a window that is none', '{windows: ["22-06"]}', /send\.windows\[0\]: expected a part of the day/],
  ['an empty window', '{windows: ["22:00-22:00"]}', /send\.windows\[0\]: 22:00-22:00 has no length/],
  ['nothing kept', '{keep: {last: 0}}', /send\.keep\.last/],
  [
    'an override of another pool',
    '{overrides: [{datasets: [tnak/a]}]}',
    /overrides\[0\]\.datasets\[0\]: "tnak" is none of the pools/,
  ],
  ['a key that does not exist', '{every: 60s}', /send\.every: unknown key/],
])('send: %s: a problem with its line', (_what, section, problem) => {
  const { problems } = parse(`replication: {pools: [tank], send: ${section}}`);
  expect(problems).toEqual([expect.stringMatching(problem)]);
});
