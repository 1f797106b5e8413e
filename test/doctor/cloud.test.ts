/** Complaint 2: the cloud, asked before it is needed. The metadata service is a server on loopback, EC2 the embedded controller. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { cloudCheck } from '../../src/doctor/cloud.ts';
import { cloudProbe, isOfAws } from '../../src/doctor/cloud-adapter.ts';
import { endpointsOf, neededCalls } from '../../src/doctor/cloud-needs.ts';
import type { CloudProbe, InterfaceView } from '../../src/doctor/cloud-probe.ts';
import { isPrivate } from '../../src/doctor/cloud-reach.ts';
import type { CheckContext, Reach } from '../../src/doctor/context.ts';
import { readMetadata } from '../../src/doctor/imds.ts';
import { systemNetwork } from '../../src/doctor/system.ts';
import { A, B, OVERLAY, ROUTES, type Running, SPARE, startController, VIP } from '../controller/support.ts';
import { brief, configHolding, configOf, configWith, contextOf, type FakeHost, one } from './support.ts';

const EIP = `name: eip, kind: elastic-ip, allocation: ${VIP.allocation}, interfaces: {a: ${A.eni}, b: ${B.eni}}`;
const ROUTE = `name: overlay, kind: vpc-route, tables: [${ROUTES}], destination: ${OVERLAY}, interfaces: {a: ${A.eni}, b: ${B.eni}}`;
/** Not in the example: its nodes are in two zones. */
const withPrivateIp = (config: Config): Config => ({
  ...config,
  resources: [
    ...config.resources,
    {
      name: 'floating',
      kind: 'private-ip',
      after: [],
      via: null,
      address: '10.0.1.50',
      interfaces: { a: A.eni, b: B.eni } as Config['fencing']['instances'],
    },
  ],
});
const fenced = (config: Config): Config => ({
  ...config,
  fencing: {
    ec2Stop: 'after',
    instances: { a: A.instance, b: B.instance } as Config['fencing']['instances'],
    isolationGroup: null,
  },
});

/** What the metadata service of an instance says, and how strict it is. */
class Metadata {
  readonly server: Server;
  token = 'AQAEAD-a-token==';
  isOpen = false;
  isBroken = false;
  readonly paths: Record<string, string> = {
    'meta-data/instance-id': A.instance,
    'meta-data/placement/availability-zone': 'us-east-1a',
    'meta-data/network/interfaces/macs/': '0a:00:00:00:00:01/\n0a:00:00:00:00:02/',
    'meta-data/network/interfaces/macs/0a:00:00:00:00:01/interface-id': 'eni-0b0b0b0b',
    'meta-data/network/interfaces/macs/0a:00:00:00:00:02/interface-id': A.eni,
  };
  url = '';

  constructor() {
    this.server = createServer((request, response) => this.#answer(request, response));
  }
  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    if (address !== null && typeof address === 'object') this.url = `http://127.0.0.1:${address.port}`;
    return this;
  }
  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').replace('/latest/', '');
    const say = (status: number, body = ''): void => void response.writeHead(status).end(body);
    if (this.isBroken) return say(500, 'x'.repeat(10));
    if (request.method === 'PUT' && path === 'api/token')
      return request.headers['x-aws-ec2-metadata-token-ttl-seconds'] === undefined
        ? say(400)
        : say(200, this.token);
    const isKnown = request.headers['x-aws-ec2-metadata-token'] === this.token;
    if (!isKnown && !(this.isOpen && request.headers['x-aws-ec2-metadata-token'] === undefined))
      return say(401);
    const body = this.paths[path];
    return body === undefined ? say(404) : say(200, body);
  }
}

let imds: Metadata;
beforeAll(async () => {
  imds = await new Metadata().start();
});
afterAll(() => void imds.server.close());
afterEach(() => {
  imds.isOpen = false;
  imds.isBroken = false;
});

const view = (id: string, change: Partial<InterfaceView> = {}): InterfaceView => ({
  id,
  instanceId: id === A.eni ? A.instance : B.instance,
  sourceDestCheck: false,
  groups: ['sg-open'],
  ...change,
});

/** A cloud in which all is well. */
const probeOf = (change: Partial<CloudProbe> = {}): CloudProbe => ({
  credentials: async () => 'access key AKIA…MPLE',
  permission: async () => ({ kind: 'allowed' }),
  describeInterfaces: async (ids) => ids.map((id) => view(id)),
  describeAddress: async () => ({
    publicIp: '198.51.100.7',
    associationId: 'eipassoc-1',
    interfaceId: B.eni,
    privateIp: '10.0.2.11',
  }),
  close: () => undefined,
  ...change,
});

const reachable: Reach = {
  kind: 'connected',
  ms: 2,
  localAddress: '10.0.1.10',
  remoteAddress: '203.0.113.5',
};

function contextIn(config: Config, fake: FakeHost = {}, probe: Partial<CloudProbe> = {}): CheckContext {
  const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url, ...fake.environment };
  const context = contextOf(
    { reach: () => reachable, cloud: probeOf(probe), ...fake, environment },
    { config },
  );
  return { ...context, network: { ...context.network, http: systemNetwork(config.tls).http } };
}
const look = (config: Config, fake: FakeHost = {}, probe: Partial<CloudProbe> = {}) =>
  cloudCheck.run(contextIn(config, fake, probe));

describe('where all is well', () => {
  it('says so of everything', async () => {
    const findings = await look(fenced(configHolding(EIP, ROUTE)));
    expect([...new Set(findings.map(({ result }) => result))]).toEqual(['ok']);
    expect(findings.map(({ subject }) => subject)).toEqual([
      'metadata',
      'zone',
      'region',
      'interface of eip',
      'interface of overlay',
      'credentials',
      `DescribeAddresses ${VIP.allocation}`,
      `AssociateAddress ${VIP.allocation}`,
      `DisassociateAddress ${VIP.allocation}`,
      `DescribeRouteTables ${ROUTES}`,
      `ReplaceRoute ${ROUTES}`,
      `CreateRoute ${ROUTES}`,
      `DescribeInstances ${B.instance}`,
      `StopInstances ${B.instance}`,
      'address eip',
      `interface ${A.eni}`,
      `interface ${B.eni}`,
      'source/destination check of overlay',
      'endpoint ec2.us-east-1.amazonaws.com',
    ]);
  });

  it('is asked only where there is a cloud', async () => {
    expect(brief(await look(configHolding('name: block, kind: drbd, resource: r0')))).toEqual([
      'skipped resources',
    ]);
    expect(brief(await look(configOf(undefined, 'w')))).toEqual(['skipped resources']);
  });
});

describe('the metadata service', () => {
  const metadata = async (fake: FakeHost = {}, config = configHolding(EIP)) =>
    one(await look(config, fake), 'metadata');

  it('that answers without a token is a warning', async () => {
    imds.isOpen = true;
    expect(await metadata()).toMatchObject({ result: 'warning', detail: expect.stringContaining('IMDSv1') });
  });

  it.each([
    ['switched off', { AWS_EC2_METADATA_DISABLED: 'true' }, 'skipped'],
    ['not there', { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' }, 'unknown'],
  ])('%s: %s', async (_what, environment, result) => {
    expect((await metadata({ environment })).result).toBe(result);
  });

  it('broken is unknown, and without one another endpoint is none of its business', async () => {
    imds.isBroken = true;
    expect((await metadata()).result).toBe('unknown');
    const config = configHolding(EIP);
    const elsewhere = { ...config, cloud: { ...config.cloud, endpoint: 'http://127.0.0.1:9' } };
    expect((await metadata({}, elsewhere)).result).toBe('skipped');
  });

  it.each([
    ['meta-data/instance-id', '<html>'],
    ['meta-data/placement/availability-zone', ''],
    ['meta-data/network/interfaces/macs/', 'not a mac/'],
    ['meta-data/network/interfaces/macs/0a:00:00:00:00:02/interface-id', '\u0000'],
  ])('garbage in %s is unknown', async (path, garbage) => {
    const good = imds.paths[path] ?? '';
    imds.paths[path] = garbage;
    const seen = await readMetadata(contextIn(configHolding(EIP)));
    imds.paths[path] = good;
    expect(seen.kind).toBe('odd');
  });
});

describe('this instance', () => {
  it('is in another zone, or another region', async () => {
    const config = configHolding(EIP);
    const members = config.members.map((member) => ({ ...member, zone: 'us-east-1f' }));
    expect(one(await look({ ...config, members }), 'zone').result).toBe('failed');
    const cloud = { ...config.cloud, region: 'eu-west-1' };
    expect(one(await look({ ...config, cloud }), 'region').result).toBe('failed');
  });

  it('has not the interface that the config names', async () => {
    const swapped = configHolding(EIP.replace(`a: ${A.eni}, b: ${B.eni}`, `a: ${B.eni}, b: ${A.eni}`));
    const findings = await look(swapped);
    expect(one(findings, 'interface of eip').result).toBe('failed');
    expect(one(findings, `owner of ${B.eni}`).result).toBe('failed');
  });

  it.each([
    ['does not exist', null],
    ['is attached to nothing', view(B.eni, { instanceId: null })],
  ])('an interface that %s', async (_what, seen) => {
    const describeInterfaces: CloudProbe['describeInterfaces'] = async (ids) =>
      ids.map((id) => (id === B.eni ? seen : view(id)));
    expect(one(await look(configHolding(EIP), {}, { describeInterfaces }), `interface ${B.eni}`).result).toBe(
      'failed',
    );
  });

  it.each([
    [true, 'failed'],
    [false, 'ok'],
    [null, 'unknown'],
  ])('source/destination check %s: %s', async (sourceDestCheck, result) => {
    const describeInterfaces: CloudProbe['describeInterfaces'] = async (ids) =>
      ids.map((id) => view(id, { sourceDestCheck }));
    const finding = one(
      await look(configHolding(ROUTE), {}, { describeInterfaces }),
      'source/destination check of overlay',
    );
    expect(finding.result).toBe(result);
    if (result === 'failed')
      expect(finding.remedy).toContain(`--no-source-dest-check --network-interface-id ${A.eni}`);
  });
});

describe('credentials and permissions', () => {
  it('none: nothing else is asked', async () => {
    const permission = vi.fn<CloudProbe['permission']>();
    const credentials = () => Promise.reject(new Error('Could not load credentials from any providers'));
    const findings = await look(configHolding(EIP), {}, { credentials, permission });
    expect(one(findings, 'credentials').result).toBe('failed');
    expect(permission).not.toHaveBeenCalled();
  });

  it.each([
    [{ kind: 'denied', why: 'UnauthorizedOperation' }, 'failed'],
    [{ kind: 'unknown', why: 'RequestLimitExceeded' }, 'unknown'],
  ] as const)('%j: %s', async (answer, result) => {
    const findings = await look(configHolding(EIP), {}, { permission: async () => answer });
    expect(one(findings, `AssociateAddress ${VIP.allocation}`).result).toBe(result);
  });

  it('what the cloud does not say is unknown', async () => {
    const broken = () => Promise.reject(new Error('throttled'));
    const findings = await look(
      configHolding(EIP),
      {},
      { describeAddress: broken, describeInterfaces: broken },
    );
    expect(one(findings, 'address eip').result).toBe('unknown');
    expect(one(findings, 'interfaces').result).toBe('unknown');
  });

  it.each([
    [null, 'failed'],
    [{ publicIp: '198.51.100.7', associationId: null, interfaceId: null, privateIp: null }, 'ok'],
    [
      { publicIp: '198.51.100.7', associationId: 'x', interfaceId: 'eni-0c0c0c0c', privateIp: '10.0.0.1' },
      'warning',
    ],
  ])('an address %#: %s', async (seen, result) => {
    expect(
      one(await look(configHolding(EIP), {}, { describeAddress: async () => seen }), 'address eip').result,
    ).toBe(result);
  });
});

describe('the way to the endpoint, without the address that moves', () => {
  const VIA = `${EIP}, via: {a: 10.0.9.10, b: 10.0.9.11}`;
  const endpoint = async (reach: Reach, probe: Partial<CloudProbe> = {}) =>
    (await look(configHolding(VIA), { reach: () => reach }, probe)).find(({ subject }) =>
      subject.startsWith('endpoint'),
    );

  it.each([
    ['answers', { kind: 'connected', ms: 3, localAddress: '10.0.9.10', remoteAddress: '203.0.113.5' }, 'ok'],
    ['no route', { kind: 'failed', why: 'no answer within 2000 ms' }, 'failed'],
    ['refused', { kind: 'refused' }, 'failed'],
    ['the port is down, as on an idle node', { kind: 'no-local-address' }, 'unknown'],
  ] as const)('%s: %s', async (_what, reach, result) => {
    const finding = await endpoint(reach);
    expect(finding?.subject).toBe('endpoint ec2.us-east-1.amazonaws.com from 10.0.9.10');
    expect(finding?.result).toBe(result);
  });

  it('an answer by way of the address itself proves nothing', async () => {
    const here = { publicIp: '198.51.100.7', associationId: 'x', interfaceId: A.eni, privateIp: '10.0.9.10' };
    const finding = await endpoint(
      { kind: 'connected', ms: 3, localAddress: '10.0.9.10', remoteAddress: '203.0.113.5' },
      { describeAddress: async () => here },
    );
    expect(finding).toMatchObject({ result: 'unknown', detail: expect.stringContaining('proves nothing') });
  });

  it('an answer from inside the VPC does, wherever the address is', async () => {
    const here = { publicIp: '198.51.100.7', associationId: 'x', interfaceId: A.eni, privateIp: '10.0.9.10' };
    const finding = await endpoint(
      { kind: 'connected', ms: 3, localAddress: '10.0.9.10', remoteAddress: '10.0.3.3' },
      { describeAddress: async () => here },
    );
    expect(finding?.result).toBe('ok');
  });

  it.each([
    ['10.1.2.3', true],
    ['172.31.0.1', true],
    ['172.32.0.1', false],
    ['192.168.0.1', true],
    ['192.169.0.1', false],
    ['::ffff:10.1.2.3', true],
    ['fd00::1', true],
    ['2600:1f18::1', false],
    ['100.10.1.1', false],
    ['', false],
  ])('%s is private: %s', (address, expected) => expect(isPrivate(address)).toBe(expected));

  it('is tried from where `via` says', async () => {
    const tried: (string | null)[] = [];
    await look(configHolding(VIA), {
      reach: (_host, localAddress) => {
        tried.push(localAddress);
        return reachable;
      },
    });
    expect(tried).toEqual(['10.0.9.10']);
  });

  it('has the name of the region, or of the config', () => {
    const config = configHolding(
      EIP,
      'name: lb, kind: target-group, group: "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/0123456789abcdef", targets: {a: i-0a0a0a0a, b: i-0b0b0b0b}',
    );
    expect(endpointsOf(config).map(({ host, port }) => `${host}:${port}`)).toEqual([
      'ec2.us-east-1.amazonaws.com:443',
      'elasticloadbalancing.us-east-1.amazonaws.com:443',
    ]);
    const at = (endpoint: string) => endpointsOf({ ...config, cloud: { region: null, endpoint } });
    expect(at('http://127.0.0.1:7420')).toEqual([{ host: '127.0.0.1', port: 7420 }]);
    expect(at('http://[fd00::1]')).toEqual([{ host: 'fd00::1', port: 80 }]);
    expect(at('https://vpce-0.ec2.us-east-1.vpce.amazonaws.com')).toMatchObject([{ port: 443 }]);
  });
});

describe('the calls that are needed', () => {
  const actions = (config: Config): string[] => neededCalls(config).map(({ action }) => action);
  it('are those of the kinds, and of fencing', () => {
    expect(actions(withPrivateIp(configHolding()))).toEqual([
      'DescribeNetworkInterfaces',
      'AssignPrivateIpAddresses',
    ]);
    expect(actions(configWith('mode: required', 'mode: automatic'))).toEqual([
      'DescribeAddresses',
      'AssociateAddress',
      'DisassociateAddress',
    ]);
    const isolating = fenced(configHolding(EIP));
    expect(
      actions({ ...isolating, fencing: { ...isolating.fencing, isolationGroup: 'sg-1' } }).slice(3),
    ).toEqual(['DescribeInstances', 'StopInstances', 'ModifyNetworkInterfaceAttribute']);
    expect(actions({ ...isolating, fencing: { ...isolating.fencing, ec2Stop: 'off' } })).toHaveLength(3);
  });
});

describe('on the SDK, against the embedded controller', () => {
  let running: Running | null = null;
  const signal = new AbortController().signal;
  afterEach(async () => {
    vi.unstubAllEnvs();
    await running?.stop();
    running = null;
  });
  async function start(
    change: Parameters<typeof startController>[0] = {},
  ): Promise<{ probe: CloudProbe; running: Running }> {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'unused');
    const started = await startController(change);
    running = started;
    const config = configHolding(EIP);
    const cloud = { region: 'us-east-1', endpoint: started.controller.endpoint };
    return { probe: await cloudProbe({ ...config, cloud }, null), running: started };
  }
  const expectNobodys = (params: Readonly<Record<string, string>>): void => {
    expect(params).toMatchObject({ DryRun: 'true' });
    expect(JSON.stringify(params)).not.toMatch(
      new RegExp([VIP.allocation, A.eni, B.eni, ROUTES, B.instance, A.instance].join('|')),
    );
  };
  const all = neededCalls(fenced(withPrivateIp(configHolding(EIP, ROUTE))));

  it('asks for every permission, and changes nothing', async () => {
    const { probe, running } = await start();
    const before = running.controller.world;
    const answers = await Promise.all(
      all.map(async (call) => [call.action, (await probe.permission(call, signal)).kind]),
    );
    expect(answers).toEqual(
      all.map(({ action }) => [action, action === 'AssignPrivateIpAddresses' ? 'unknown' : 'allowed']),
    );
    expect(running.controller.world).toBe(before);
    probe.close();
  });

  it('sees what a role may not do', async () => {
    const { probe } = await start({
      accessKeys: {
        AKIDEXAMPLE: { allow: ['Describe*', 'DisassociateAddress', 'CreateRoute', 'StopInstances'] },
      },
    });
    const answers = await Promise.all(
      all.map(async (call) => [call.action, (await probe.permission(call, signal)).kind]),
    );
    expect(Object.fromEntries(answers)).toMatchObject({
      AssociateAddress: 'denied',
      DisassociateAddress: 'allowed',
      ReplaceRoute: 'denied',
      StopInstances: 'allowed',
      DescribeAddresses: 'allowed',
    });
    probe.close();
  });

  it('describes addresses and interfaces, also those that are not there', async () => {
    const { probe } = await start();
    expect(await probe.describeAddress(VIP.allocation, signal)).toMatchObject({
      publicIp: VIP.ip,
      interfaceId: A.eni,
      privateIp: A.ip,
    });
    expect(await probe.describeAddress(SPARE.allocation, signal)).toMatchObject({
      interfaceId: null,
      privateIp: null,
    });
    expect(await probe.describeAddress('eipalloc-0c0c0c0c', signal)).toBeNull();
    expect(await probe.describeInterfaces([B.eni, 'eni-0c0c0c0c', A.eni], signal)).toEqual([
      { id: B.eni, instanceId: B.instance, sourceDestCheck: true, groups: ['sg-open'] },
      null,
      { id: A.eni, instanceId: A.instance, sourceDestCheck: true, groups: ['sg-open'] },
    ]);
    expect(await probe.credentials(signal)).toBe('access key AKID…MPLE');
    probe.close();
  });

  it('throttling is unknown', async () => {
    const { probe, running } = await start();
    running.controller.setFaults({ throttle: { '*': { ratePerSecond: 0, burst: 0 } } });
    expect(
      (await probe.permission({ action: 'DescribeAddresses', allocationId: VIP.allocation }, signal)).kind,
    ).toBe('unknown');
    probe.close();
  });

  it('an endpoint that ignores dry runs is unknown, and is never told a real id', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'unused');
    const seen: URLSearchParams[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += String(chunk);
      });
      request.on('end', () => {
        const form = new URLSearchParams(body);
        const action = form.get('Action') ?? '';
        seen.push(form);
        response.writeHead(200, { 'content-type': 'text/xml' });
        response.end(
          `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><return>true</return></${action}Response>`,
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const config = configHolding(EIP);
    const probe = await cloudProbe(
      { ...config, cloud: { region: 'us-east-1', endpoint: `http://127.0.0.1:${port}` } },
      null,
    );
    const answers = await Promise.all(
      all.map(async (call) => [call.action, (await probe.permission(call, signal)).kind]),
    );
    for (const [action, kind] of answers)
      expect([action, kind]).toEqual([action, action?.startsWith('Describe') ? 'allowed' : 'unknown']);
    const changing = seen.filter((form) => !form.get('Action')?.startsWith('Describe'));
    expect(changing.length).toBeGreaterThan(0);
    for (const form of changing) expectNobodys(Object.fromEntries(form));
    probe.close();
    server.close();
  });

  it("one that is not AWS's is asked about ids that are nobody's", async () => {
    const { probe, running } = await start();
    for (const call of all) await probe.permission(call, signal);
    const calls = running.controller.calls().filter(({ action }) => !action?.startsWith('Describe'));
    expect(calls.map(({ action }) => action)).toEqual([
      'AssociateAddress',
      'DisassociateAddress',
      'ReplaceRoute',
      'CreateRoute',
      'StopInstances',
    ]);
    for (const { params } of calls) expectNobodys(params);
    probe.close();
  });

  it.each([
    ['https://ec2.us-east-1.amazonaws.com', true],
    ['https://vpce-0a.ec2.us-east-1.vpce.amazonaws.com', true],
    ['https://ec2.cn-north-1.amazonaws.com.cn', true],
    ['http://127.0.0.1:7420', false],
    ['https://amazonaws.com.example.org', false],
    ['https://notamazonaws.com', false],
  ])('%s is of AWS: %s', (url, expected) => expect(isOfAws(url)).toBe(expected));
});
