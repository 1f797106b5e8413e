import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ControllerStateInput,
  parseState,
  readStateFile,
  VpcController,
} from '../../cluster/local/controller/index.ts';
import { A, HOST, SPARE, startController, twoNodes, VIP } from './support.ts';

const GROUP = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'controller-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const message = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no error';
};

describe('the state', () => {
  const wrong = (change: object) =>
    message(() => parseState(twoNodes(change as Partial<ControllerStateInput>)));
  const [a] = twoNodes().interfaces ?? [];
  it.each([
    [{ colour: 'red' }, 'the file: Unrecognized key: "colour"'],
    [{ instances: [{ id: 'x', zone: 'z' }], interfaces: [] }, 'instances[0].id: expected i- and'],
    [{ interfaces: [{ ...a, instance: 'i-00000000' }] }, 'interfaces[0].instance: is not in instances'],
    [{ interfaces: [{ ...a, groups: ['sg-none'] }] }, 'interfaces[0].groups[0]: is not in securityGroups'],
    [
      { interfaces: [a, { ...a, id: 'eni-2' }] },
      `interfaces[1].privateIps[0]: is an address of ${A.eni} already`,
    ],
    [
      { interfaces: [{ ...a, privateIps: ['10.0.0.1'] }] },
      'interfaces[0].privateIps[0]: expected an address of 127',
    ],
    [
      {
        addresses: [{ allocationId: 'eipalloc-1', publicIp: VIP.ip, associatedWith: { interface: 'eni-0' } }],
      },
      'addresses[0].associatedWith.interface: is not in interfaces',
    ],
    [
      { addresses: [1, 2].map((n) => ({ allocationId: `eipalloc-${n}`, publicIp: VIP.ip })) },
      'addresses[1].publicIp: is used twice',
    ],
    [
      {
        addresses: [VIP, SPARE].map(({ allocation, ip }) => ({
          allocationId: allocation,
          publicIp: ip,
          associatedWith: { interface: A.eni },
        })),
      },
      'addresses[1].associatedWith: 127',
    ],
    [
      { routeTables: [{ id: 'rtb-1', routes: [{ destination: '10.0.0.0/8' }] }] },
      'needs either interface or gateway',
    ],
    [
      { routeTables: [{ id: 'rtb-1', routes: [{ destination: '10.0.0.0/8', interface: 'eni-0' }] }] },
      'routeTables[0].routes[0].interface: is not in interfaces',
    ],
    [{ faults: { rules: [{ kind: 'gremlin' }] } }, 'faults.rules[0].kind'],
    [{ targetGroups: [{ arn: 'nas', port: 2049 }] }, 'targetGroups[0].arn: expected arn:aws:elasticload'],
    [{ targetGroups: [{ arn: GROUP, port: 0 }] }, 'targetGroups[0].port'],
    [{ targetGroups: [1, 2].map((port) => ({ arn: GROUP, port })) }, 'targetGroups[1].arn: is used twice'],
    [
      { targetGroups: [{ arn: GROUP, port: 1, healthCheck: { codes: 'fine' } }] },
      'targetGroups[0].healthCheck.codes: expected an HTTP status',
    ],
    [
      { targetGroups: [{ arn: GROUP, port: 1, targets: [{ id: 'i-00000000' }] }] },
      'targetGroups[0].targets[0].id: is not in instances',
    ],
    [
      { targetGroups: [{ arn: GROUP, port: 1, targetType: 'ip', targets: [{ id: '127.0.0.9' }] }] },
      "targetGroups[0].targets[0].id: is not in any interface's privateIps",
    ],
    [
      { targetGroups: [{ arn: GROUP, port: 1, targets: [{ id: A.instance }, { id: A.instance, port: 1 }] }] },
      `targetGroups[0].targets[1]: ${A.instance}:1 is there twice`,
    ],
  ])('%j is refused, the place is named', (change, expected) => {
    expect(wrong(change)).toContain(expected);
  });

  it('read from a file names the line, in YAML and JSON', () => {
    const yaml = join(directory, 'wrong.yaml');
    writeFileSync(yaml, 'instances:\n  - {id: i-1, zone: z}\n  - id: i-1\n    zone: z\n');
    expect(message(() => readStateFile(yaml))).toBe(`${yaml}:3: instances[1].id: is used twice`);
    const json = join(directory, 'wrong.json');
    writeFileSync(json, '{\n  "vpc": {\n    "id": "x"\n  }\n}\n');
    expect(message(() => readStateFile(json))).toContain(`${json}:3: vpc.id: expected vpc-`);
    const broken = join(directory, 'broken.yaml');
    writeFileSync(broken, 'instances: [\n');
    expect(message(() => readStateFile(broken))).toContain(broken);
    expect(message(() => readStateFile(join(directory, 'none')))).toContain('no such file');
  });

  it('may be as small as nothing', () => {
    expect(parseState({}).region).toBe('us-east-1');
  });
});

it('listens on loopback only, and says which port is taken', async () => {
  const options = { state: {}, seed: 1 };
  expect(message(() => new VpcController({ ...options, listen: { host: '0.0.0.0', port: 0 } }))).toContain(
    '127.0.0.0/8',
  );
  const first = await startController();
  try {
    const port = Number(new URL(first.controller.endpoint).port);
    const second = new VpcController({ ...options, listen: { host: HOST, port } });
    await expect(second.start()).rejects.toThrow(`cannot listen on ${HOST}:${port}`);
  } finally {
    await first.stop();
  }
});

describe('the process', () => {
  let program: string;
  beforeAll(async () => {
    program = join(directory, 'local-controller.mjs');
    await build({
      entryPoints: ['cluster/local/controller/main.ts'],
      outfile: program,
      bundle: true,
      format: 'esm',
      platform: 'node',
      mainFields: ['module', 'main'],
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
      },
    });
  });

  const run = (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    const ended = once(child, 'exit').then(([code]) => ({ code, stderr }));
    return { child, ended };
  };

  it('prints one line when it listens, serves, and ends in order', async () => {
    const file = join(directory, 'state.json');
    writeFileSync(file, JSON.stringify(twoNodes()));
    const { child, ended } = run('--state', file, '--listen', `${HOST}:0`, '--seed', '7');
    const [line] = await once(child.stdout, 'data');
    const started = JSON.parse(String(line));
    expect(started).toMatchObject({ event: 'listening', pid: child.pid, seed: 7 });
    const state = await (await fetch(`${started.endpoint}/_local/state`)).json();
    expect(Object.keys((state as { addresses: object }).addresses)).toEqual([
      VIP.allocation,
      SPARE.allocation,
    ]);
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: 0, stderr: '' });
  });

  it('says what is wrong and exits with 2', async () => {
    expect(await run().ended).toMatchObject({ code: 2, stderr: expect.stringContaining('usage:') });
    const file = join(directory, 'bad.yaml');
    writeFileSync(file, 'region: 5\n');
    const bad = await run('--state', file, '--listen', `${HOST}:0`).ended;
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining(`${file}:1: region`) });
    const everywhere = await run('--state', file, '--listen', '0.0.0.0:1').ended;
    expect(everywhere.code).toBe(2);
  });
});
