import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataNodes, deriveTiming, loadConfig, parseConfig } from '../../src/config/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { configDirectory, GOOD } from './fixture.ts';

let directory = '';
let remove = (): void => {};
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());

const file = (): string => join(directory, 'q.yaml');
const problemsOf = (text: string, node?: string): readonly string[] =>
  parseConfig(text, file(), { node }).problems.map((line) => line.slice(directory.length + 1));
/** The good file with one text replaced: every test changes one thing. */
function changed(from: string, to: string): string {
  expect(GOOD).toContain(from);
  return GOOD.replace(from, to);
}

describe('a good config', () => {
  it('is read with absolute paths, milliseconds and defaults', () => {
    const { config, problems } = parseConfig(GOOD, file());
    expect(problems).toEqual([]);
    expect(config).toMatchObject({
      cluster: 'nas-prod',
      node: 'a',
      dataDir: join(directory, 'state'),
      timing: {
        heartbeatMs: 100,
        leaseMs: 600,
        releaseMs: 1000,
        guardMs: 25,
        clockErrorRate: 0.005,
        promiseMs: null,
      },
      tls: { ca: join(directory, 'ca.pem'), cert: join(directory, 'a.pem'), key: join(directory, 'a.key') },
      watchdog: { device: '/dev/watchdog', mode: 'required', timeoutMs: null },
      fencing: { ec2Stop: 'after' },
      cloud: { region: 'us-east-1', endpoint: null },
    });
    expect(config?.members.map(({ id, witness }) => [id, witness])).toEqual([
      ['a', false],
      ['b', false],
      ['w', true],
    ]);
    expect(config === null ? [] : dataNodes(config).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('takes resources in the order of the file where there is no `after`', () => {
    expect(parseConfig(GOOD, file()).config?.resources.map(({ name, after }) => [name, after])).toEqual([
      ['block', []],
      ['eip', ['block']],
      ['nfs', ['eip']],
    ]);
  });

  it('needs no optional section', () => {
    const text = GOOD.split('\n')
      .filter((line) => !/^(timing|http|watchdog|fencing|max_data_loss|cloud|resources| {2}- )/.test(line))
      .join('\n');
    const { config, problems } = parseConfig(text, file());
    expect(problems).toEqual([]);
    // H2: running without a watchdog must be chosen by name.
    expect(config).toMatchObject({
      http: null,
      resources: [],
      watchdog: { mode: 'required', device: '/dev/watchdog' },
    });
  });

  it('takes --node over the file', () => {
    expect(parseConfig(GOOD, file(), { node: 'b' }).config?.node).toBe('b');
    expect(parseConfig(GOOD.replace('node: a\n', ''), file(), { node: 'w' }).config?.node).toBe('w');
  });

  it('turns service commands into argument vectors', () => {
    const text = changed(
      'unit: nfs-server.service',
      'start: mount /srv, stop: [umount, /srv], probe: mountpoint -q /srv',
    );
    expect(parseConfig(text, file()).config?.resources[2]).toMatchObject({
      service: {
        kind: 'commands',
        start: ['/bin/sh', '-c', 'mount /srv'],
        stop: ['umount', '/srv'],
        probe: ['/bin/sh', '-c', 'mountpoint -q /srv'],
      },
    });
  });

  it('gives each node its own `via` address', () => {
    const text = changed('after: [block]', 'via: {a: 10.0.9.10, b: 10.0.9.11}, after: [block]');
    expect(parseConfig(text, file(), { node: 'b' }).config?.resources[1]).toMatchObject({ via: '10.0.9.11' });
    expect(parseConfig(text, file(), { node: 'w' }).config?.resources[1]).toMatchObject({ via: null });
  });
});

describe('L5: timing', () => {
  it('derives the promise, with and without a watchdog', () => {
    const { config } = parseConfig(GOOD, file());
    if (config === null) throw new Error('not read');
    const k = 1.005 / 0.995;
    expect(deriveTiming(config.timing, null).promiseMs).toBeCloseTo(k * 1625, 6);
    expect(deriveTiming(config.timing, 1000)).toMatchObject({
      watchdog: { timeoutMs: 1000, petWindowMs: 650 },
    });
    expect(deriveTiming(config.timing, 1000).promiseMs).toBeCloseTo(k * 2650, 6);
  });

  it('refuses a lease under three heartbeats and names the least', () => {
    expect(problemsOf(changed('lease: 600ms', 'lease: 299ms'))).toEqual([
      expect.stringMatching(
        /^q\.yaml:8: timing\.lease: 299ms is shorter than three heartbeats .*L5.*\(at least 300ms/,
      ),
    ]);
  });

  it('takes a longer promise, and refuses a shorter one with the least value and why', () => {
    expect(problemsOf(changed('release: 1s', 'release: 1s, promise: 1642ms'))).toEqual([]);
    expect(problemsOf(changed('release: 1s', 'release: 1s, promise: 1641ms'))).toEqual([
      expect.stringMatching(
        /^q\.yaml:8: timing\.promise: 1641ms is too short: the old holder .* k·\(L\+g\+D\) .*\(at least 1642ms/,
      ),
    ]);
  });

  it('counts a stated watchdog timeout, unless the watchdog is off', () => {
    const text = changed('release: 1s', 'release: 1s, promise: 1700ms');
    const stated = text.replace('mode: required', 'mode: required, timeout: 1s');
    expect(problemsOf(stated)).toEqual([expect.stringMatching(/timing\.promise: .*G\+2W.*at least 2677ms/)]);
    expect(problemsOf(stated.replace('required', 'off'))).toEqual([]);
  });
});

describe('bad input is refused with file, line and hint', () => {
  const cases: [what: string, from: string, to: string, expected: RegExp[]][] = [
    [
      'unknown section',
      'timing:',
      'timming:',
      [/^q\.yaml:8: timming: unknown key \(did you mean "timing"\?\)$/],
    ],
    [
      'unknown key',
      'lease: 600ms',
      'leese: 600ms',
      [/^q\.yaml:8: timing\.leese: unknown key \(did you mean "lease"\?\)$/],
    ],
    [
      'camel case',
      'data_dir: state',
      'dataDir: state',
      [/:1: data_dir: is missing/, /:3: dataDir: .*"data_dir"/],
    ],
    [
      'no unit',
      'heartbeat: 100ms',
      'heartbeat: 100',
      [/^q\.yaml:8: timing\.heartbeat: .*needs a unit.*\(write "100ms" or "100s"\)$/],
    ],
    ['unknown unit', 'release: 1s', 'release: 1sec', [/:8: timing\.release: unknown unit "sec" \(units are/]],
    [
      'out of range',
      'heartbeat: 100ms',
      'heartbeat: 1ms',
      [/:8: timing\.heartbeat: 1ms is out of range \(from 10ms to 10s\)/],
    ],
    [
      'percent',
      'clock_error: 0.5%',
      'clock_error: 0.005',
      [/:8: timing\.clock_error: .*\(write it as "0\.5%"\)/],
    ],
    [
      'no port',
      'peer: 10.0.2.10:7400',
      'peer: 10.0.2.10',
      [/:6: members\.b\.peer: expected HOST:PORT.*\(write/],
    ],
    ['bad port', 'peer: 10.0.2.10:7400', 'peer: 10.0.2.10:70000', [/:6: members\.b\.peer: port 70000/]],
    [
      'bad address',
      'peer: 10.0.2.10:7400',
      'peer: 10.0.2.300:7400',
      [/:6: members\.b\.peer: "10\.0\.2\.300" is not an IPv4/],
    ],
    [
      'node id',
      '  b: {zone',
      '  B!1: {zone',
      [/:6: members\.B!1: node id must be.*\(as "a"/, /:18: .*B!1/, /:18: .*"b"/],
    ],
    ['node id of YAML', 'node: a', 'node: 1', [/:2: node: expected a node id, got 1/]],
    ['unknown self', 'node: a', 'node: aa', [/:2: node: "aa" is not a member \(members: a, b, w\)/]],
    ['no self', 'node: a\n', '', [/:1: node: is missing \(say which member/]],
    [
      'second witness',
      'us-east-1b, peer',
      'us-east-1b, witness: true, peer',
      [/:7: members\.w\.witness: there is already a witness, "b"/, /:18: .*"b" is the witness/],
    ],
    [
      'same address',
      '10.0.2.10:7400',
      '10.0.1.10:7400',
      [/:6: members\.b\.peer: 10\.0\.1\.10:7400 is already the address of "a"/],
    ],
    [
      'witness text',
      'witness: true',
      'witness: yes',
      [/:7: members\.w\.witness: expected true or false, got "yes"/],
    ],
    [
      'duplicate key',
      'cluster: nas-prod',
      'cluster: x\ncluster: nas-prod',
      [/:2: cluster: this key is already there/],
    ],
    ['syntax', 'node: a', 'node: [a', [/^q\.yaml:3: /]],
    [
      'missing certificate',
      'cert: a.pem',
      'cert: b.pem',
      [/:9: tls\.cert: cannot read .*b\.pem: no such file \(.*`quorate pki issue`/],
    ],
    ['not a certificate', 'ca: ca.pem', 'ca: a.key', [/:9: tls\.ca: .*a\.key is not a PEM certificate \(/]],
    ['no tls', 'tls: {ca: ca.pem, cert: a.pem, key: a.key}\n', '', [/:1: tls: is missing/]],
    ['part of tls', ', key: a.key', '', [/:9: tls\.key: is missing \(expected a text\)/]],
    ['admin', '127.0.0.1:7401', '7401', [/:10: admin\.listen: expected HOST:PORT/]],
    ['same listener', '127.0.0.1:7402', '127.0.0.1:7401', [/:11: http\.listen: .*already the admin address/]],
    [
      'mode',
      'mode: required',
      'mode: require',
      [/:12: watchdog\.mode: "require" is not possible here \(did you mean "required"\?\)/],
    ],
    [
      'mode as a boolean',
      'mode: required',
      'mode: false',
      [/:12: watchdog\.mode: false is not possible here \(one of required, automatic, off\)/],
    ],
    [
      'fencing',
      'ec2_stop: after',
      'ec2_stop: never',
      [/:13: fencing\.ec2_stop: .*one of off, after, before/],
    ],
    ['data loss', 'max_data_loss: 0s', 'max_data_loss: some', [/:14: max_data_loss: expected a duration/]],
    [
      'endpoint',
      'endpoint: null',
      'endpoint: "ftp://x"',
      [/:15: cloud\.endpoint: "ftp:\/\/x" is not an http/],
    ],
    ['no region', 'region: us-east-1, ', '', [/:15: cloud\.region: is missing, and "eip" needs it/]],
    [
      'unknown kind',
      'kind: drbd',
      'kind: drdb',
      [/:17: resources\[0\]\.kind: unknown kind "drdb" \(did you mean "drbd"\?/],
    ],
    ['no kind', 'kind: drbd, ', '', [/:17: resources\[0\]\.kind: is missing/]],
    [
      'unknown after',
      'after: [block]',
      'after: [blocks]',
      [/:18: resources\[1\]\.after\[0\]: there is no resource "blocks" \(did you mean "block"\?\)/],
    ],
    ['after itself', 'after: [block]', 'after: [eip]', [/:18: .*cannot come after itself/]],
    [
      'circle',
      'resource: r0',
      'resource: r0, after: [nfs]',
      [/:17: resources\[0\]\.after: goes round in a circle: block after nfs after eip after block/],
    ],
    ['same name', 'name: nfs', 'name: block', [/:19: .*"block" is used twice/]],
    [
      'interface missing',
      ', b: eni-77f0c1aa',
      '',
      [/:18: resources\[1\]\.interfaces: data node "b" has no interface/],
    ],
    [
      'interface of the witness',
      'b: eni-77f0c1aa',
      'b: eni-77f0c1aa, w: eni-00000001',
      [/:18: .*"w" is the witness, which never holds/],
    ],
    [
      'interface of nobody',
      'b: eni-77f0c1aa',
      'b: eni-77f0c1aa, nas-9: eni-00000001',
      [/:18: .*there is no member "nas-9"/],
    ],
    ['same interface', 'b: eni-77f0c1aa', 'b: eni-46561127', [/:18: .*already the interface of "a"/]],
    [
      'allocation',
      'eipalloc-03a7e962',
      'eip-1',
      [/:18: resources\[1\]\.allocation: "eip-1" is not an allocation id \(as/],
    ],
    ['via', 'after: [block]', 'via: port2, after: [block]', [/:18: resources\[1\]\.via: "port2" is neither/]],
    [
      'via a resource',
      'after: [block]',
      'via: block, after: [block]',
      [/:18: resources\[1\]\.via: "block" is not a resource of kind "port" \(write the local address/],
    ],
    [
      'unit and command',
      'unit: nfs-server.service',
      'unit: nfs-server.service, start: x',
      [/:19: resources\[2\]\.start: cannot stand beside "unit"/],
    ],
    [
      'half a service',
      'unit: nfs-server.service',
      'start: x, stop: y',
      [/:19: resources\[2\]\.probe: is missing/],
    ],
    ['empty service', ', unit: nfs-server.service', '', [/:19: resources\[2\]: a service needs "unit"/]],
    [
      'unit name',
      'nfs-server.service',
      'nfs-server',
      [/:19: resources\[2\]\.unit: "nfs-server" is not a systemd unit/],
    ],
    [
      'long data_dir',
      'data_dir: state',
      `data_dir: /${'x'.repeat(100)}`,
      [/:3: data_dir: .*too long for the agent's unix socket/],
    ],
  ];
  it.each(cases)('%s', (_what, from, to, expected) => {
    const problems = problemsOf(changed(from, to));
    for (const [position, pattern] of expected.entries()) expect(problems[position]).toMatch(pattern);
    expect(problems).toHaveLength(expected.length);
  });

  it('too many members', () => {
    const more = ['c', 'd', 'e', 'f', 'g'].map((id, n) => `  ${id}: {peer: "10.0.9.${n + 1}:1"}\n`).join('');
    expect(problemsOf(GOOD.replace('timing:', `${more}timing:`))[0]).toMatch(
      /:4: members: 8 members are too many/,
    );
  });

  it('an empty file', () => expect(problemsOf('')).toEqual([expect.stringMatching(/:1: .*an empty file/)]));
  it('a list', () => expect(problemsOf('- a')).toHaveLength(1));
  it('an unknown --node', () =>
    expect(problemsOf(GOOD, 'z')[0]).toMatch(/:4: members: --node z is not a member/));
});

it('reports all errors of a file at once, in its order, one line each', () => {
  const text = changed('lease: 600ms', 'lease: 6OOms')
    .replace('mode: required', 'mood: required')
    .replace('kind: drbd', 'kind: zfs')
    .replace('b: eni-77f0c1aa', 'c: eni-77f0c1aa');
  const problems = problemsOf(text);
  expect(problems.map((line) => line.split(':')[1])).toEqual(['8', '12', '17', '18', '18']);
});

it('throws with exit code 2 and all the lines', () => {
  writeFileSync(file(), 'cluster: 1\n');
  const caught = (() => {
    try {
      return loadConfig(file());
    } catch (error) {
      return error;
    }
  })();
  expect(caught).toBeInstanceOf(QuorateError);
  expect(caught).toMatchObject({ code: 'config-invalid', exitCode: 2 });
  expect((caught as QuorateError).context.problems).toHaveLength(6);
  expect(() => loadConfig(join(directory, 'none.yaml'))).toThrow(expect.objectContaining({ exitCode: 2 }));
});
