/** Every kind of resource, as the file has it and as a node works with it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, parseConfig, type ResourceConfig } from '../../src/config/index.ts';
import { configDirectory, GOOD } from './fixture.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());

const HEAD = GOOD.slice(0, GOOD.indexOf('resources:'));
const PORT =
  '{name: port2, kind: port, interface: {a: eth1, b: ens6}, addresses: {a: [10.0.1.11/24], b: [10.0.2.11/24]}, gateway: {a: 10.0.1.1, b: 10.0.2.1}}';

function parse(items: readonly string[], node = 'a', head = HEAD) {
  const text = `${head}resources:\n${items.map((item) => `  - ${item}\n`).join('')}`;
  return parseConfig(text, `${directory}/q.yaml`, { node });
}

function resources(items: readonly string[], node = 'a', head = HEAD): readonly ResourceConfig[] {
  const { config, problems } = parse(items, node, head);
  expect(problems).toEqual([]);
  return (config as Config).resources;
}

/** What is wrong with the last resource of the list; its line is checked too. */
function problem(items: readonly string[], head = HEAD): string {
  const { problems } = parse(items, 'a', head);
  expect(problems).toHaveLength(1);
  const line = head.split('\n').length + items.length;
  expect(problems[0]).toContain(`q.yaml:${line}: resources[${items.length - 1}]`);
  return problems[0] ?? '';
}

describe('a value for all data nodes, or one for each', () => {
  it.each([
    ['a', { interface: 'eth1', addresses: ['10.0.1.11/24'], gateway: '10.0.1.1' }],
    ['b', { interface: 'ens6', addresses: ['10.0.2.11/24'], gateway: '10.0.2.1' }],
  ])('node %s has its own', (node, expected) => {
    expect(resources([PORT], node)[0]).toMatchObject({ kind: 'port', ...expected });
  });

  it('a witness needs none: it never holds (W1)', () => {
    const routes = '{name: routes, kind: route-table, table: 200, interface: eth1, gateway: 10.0.1.1}';
    expect(parse([PORT, routes], 'w').problems).toEqual([]);
  });

  it('a data node without one is named', () => {
    expect(problem(['{name: p, kind: port, interface: {a: eth1}}'])).toContain(
      'interface: data node "b" has no interface (add "b: eth1")',
    );
  });

  it('one for nobody is named', () => {
    expect(problem(['{name: p, kind: port, interface: {a: eth1, b: eth1, w: eth1}}'])).toContain(
      'interface.w: "w" is the witness, which never holds (W1)',
    );
  });

  it('a bad one is found at its place', () => {
    expect(problem(['{name: p, kind: port, interface: eth1, gateway: {a: 10.0.1.1, b: 10.0.2}}'])).toContain(
      'gateway.b: "10.0.2" is not an IP address',
    );
  });
});

describe('the way in', () => {
  it('a route table takes its addresses from the port on its interface', () => {
    const table =
      '{name: routes, kind: route-table, table: 200, interface: {a: eth1, b: ens6}, gateway: {a: 10.0.1.1, b: 10.0.2.1}, routes: [{to: 10.9.0.0/16}, {to: default, via: 10.0.1.2}]}';
    expect(resources([PORT, table], 'b')[1]).toEqual({
      name: 'routes',
      kind: 'route-table',
      after: ['port2'],
      table: 200,
      interface: 'ens6',
      gateway: '10.0.2.1',
      from: ['10.0.2.11'],
      routes: [
        { to: '10.9.0.0/16', via: null },
        { to: 'default', via: '10.0.1.2' },
      ],
      priority: 1000,
    });
  });

  it.each([
    [
      '{name: r, kind: route-table, table: 252, interface: eth1, gateway: 10.0.1.1, from: 10.0.1.11}',
      /table: .*253 to 255 are the kernel's own/,
    ],
    [
      '{name: r, kind: route-table, table: 200, interface: eth1, from: 10.0.1.11}',
      /needs a "gateway", or "routes"/,
    ],
    [
      '{name: v, kind: virtual-ip, interface: eth1, address: 10.0.0.50}',
      /address: "10.0.0.50" is not an address with a prefix length \(as "10.0.1.11\/24"\)/,
    ],
    [
      '{name: v, kind: virtual-ip, interface: eth1, address: 10.0.0.50/33}',
      /is not an address with a prefix length/,
    ],
    [
      '{name: v, kind: virtual-ip, interface: "eth1:0", address: 10.0.0.50/24}',
      /interface: "eth1:0" is not the name of a network interface/,
    ],
    [
      '{name: d, kind: inbound, interface: eth2}',
      /needs "addresses": no resource of kind "port" or "virtual-ip"/,
    ],
    [
      '{name: r, kind: route-table, table: 200, interface: eth1, gateway: "fd00::1", from: 10.0.1.11}',
      /from: has no address of the family of fd00::1/,
    ],
  ])('%s is refused', (item, why) => {
    expect(problem([PORT, item])).toMatch(why);
  });

  it('a table is for what the interface has, where the config does not say that; not beside a virtual address', () => {
    const table = '{name: r, kind: route-table, table: 200, interface: eth2, gateway: 10.0.1.1}';
    expect(resources([table])[0]).toMatchObject({ from: null });
    expect(resources(['{name: p, kind: port, interface: eth2}', table])[1]).toMatchObject({ from: null });
    const vip = '{name: vip, kind: virtual-ip, interface: eth2, address: 10.0.0.50/24}';
    expect(problem([vip, table])).toMatch(/needs "from": a resource of kind "virtual-ip" puts an address/);
  });

  it('data comes in for the addresses of the port and the virtual address', () => {
    const vip = '{name: vip, kind: virtual-ip, interface: {a: eth1, b: ens6}, address: 10.0.0.50/24}';
    const inbound = '{name: data, kind: inbound, interface: {a: eth1, b: ens6}, within: 500ms}';
    expect(resources([PORT, vip, inbound])[2]).toMatchObject({
      addresses: ['10.0.1.11', '10.0.0.50'],
      withinMs: 500,
      required: false,
    });
  });
});

describe('the cloud', () => {
  const ENIS = 'interfaces: {a: eni-46561127, b: eni-77f0c1aa}';

  it('`via` may name a port: its first address is meant', () => {
    const eip = `{name: eip, kind: elastic-ip, allocation: eipalloc-03a7e962, ${ENIS}, via: port2}`;
    expect(resources([PORT, eip], 'b')[1]).toMatchObject({ via: '10.0.2.11' });
    // Whose addresses something else configures: what the interface has then.
    expect(
      resources(['{name: port2, kind: port, interface: {a: eth1, b: ens6}}', eip], 'b')[1],
    ).toMatchObject({
      via: 'ens6',
    });
  });

  it('routes, private addresses and target groups', () => {
    const oneZone = HEAD.replace('us-east-1b', 'us-east-1a');
    const found = resources(
      [
        `{name: overlay, kind: vpc-route, tables: [rtb-8314a291, rtb-00000001], destination: 192.168.77.77/32, ${ENIS}}`,
        `{name: second, kind: private-ip, address: 10.0.1.50, ${ENIS}, via: 10.0.1.11}`,
        '{name: lb, kind: target-group, group: "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067", targets: {a: i-256edbbc, b: 10.0.2.11}, port: 2049}',
      ],
      'a',
      oneZone,
    );
    expect(found[0]).toMatchObject({ tables: ['rtb-8314a291', 'rtb-00000001'], via: null });
    expect(found[1]).toMatchObject({ address: '10.0.1.50', via: '10.0.1.11' });
    expect(found[2]).toMatchObject({ mode: 'role-checks', targets: { b: '10.0.2.11' }, port: 2049 });
  });

  it('a private address does not move between zones', () => {
    expect(problem([`{name: second, kind: private-ip, address: 10.0.1.50, ${ENIS}}`])).toContain(
      'a private address cannot move between zones, and the data nodes are in us-east-1a and us-east-1b',
    );
  });

  it('needs a region', () => {
    const head = HEAD.replace('region: us-east-1, ', '');
    const { problems } = parse(
      [`{name: o, kind: vpc-route, tables: [rtb-8314a291], destination: 1.2.3.4/32, ${ENIS}}`],
      'a',
      head,
    );
    expect(problems.join()).toMatch(/cloud\.region: is missing, and "o" needs it/);
  });
});

describe('storage, services and the door', () => {
  it('as a node works with them', () => {
    const found = resources([
      '{name: fs, kind: mount, device: /dev/drbd0, mount_point: /srv, fstype: xfs, options: noatime}',
      '{name: own, kind: hook, script: /etc/quorate/hook.sh, environment: {LEVEL: high}}',
      '{name: gate, kind: port-block, ports: [2049, 111/udp]}',
    ]);
    expect(found[0]).toMatchObject({ mountPoint: '/srv', fstype: 'xfs', options: 'noatime' });
    expect(found[1]).toMatchObject({
      script: ['/bin/sh', '-c', '/etc/quorate/hook.sh "$@"', 'hook'],
      environment: { LEVEL: 'high' },
    });
    expect(found[2]).toMatchObject({
      ports: [
        { protocol: 'tcp', port: 2049 },
        { protocol: 'udp', port: 111 },
      ],
      resetConnections: true,
    });
  });

  it('the text of a hook is one command: the action stays behind it', () => {
    const [found] = resources(['{name: own, kind: hook, script: "  /etc/quorate/hook.sh left\\n"}']);
    expect(found).toMatchObject({ script: ['/bin/sh', '-c', '/etc/quorate/hook.sh left "$@"', 'hook'] });
  });

  it.each(['hook # ours', 'one\\ntwo', 'one;', 'one &', '  ', 'one \\\\'])(
    'the text "%s" of a hook would lose the action',
    (script) => {
      expect(problem([`{name: own, kind: hook, script: "${script}"}`])).toMatch(
        /script: as a text must be one command.*\(write a list/,
      );
    },
  );

  it.each([
    [
      '{name: fs, kind: mount, device: /dev/drbd0, mount_point: srv}',
      /mount_point: "srv" must be an absolute path/,
    ],
    ...['/', '/srv/', '/srv//a', '/srv/./a', '/srv/../a', '//srv'].map((point): [string, RegExp] => [
      `{name: fs, kind: mount, device: /dev/drbd0, mount_point: ${point}}`,
      /mount_point: .*must be an absolute path/,
    ]),
    ...['UUID=1111-2222', 'LABEL=data', 'drbd0', 'tmpfs', '/dev//drbd0'].map((device): [string, RegExp] => [
      `{name: fs, kind: mount, device: ${device}, mount_point: /srv}`,
      /device: .*must be the absolute path of a block device \(as "\/dev\/drbd0".*\/dev\/disk\/by-uuid/,
    ]),
    ['{name: gate, kind: port-block, ports: [2049/sctp]}', /ports\[0\]: .*is not a port \(as "2049\/tcp"/],
    ['{name: gate, kind: port-block, ports: [70000]}', /ports\[0\]: .*is not a port/],
    ['{name: own, kind: hook, script: x, environment: {"a-b": c}}', /environment/],
  ])('%s is refused', (item, why) => {
    expect(problem([item])).toMatch(why);
  });

  it('a service waits for all that this host has before it, and not only for the address', () => {
    const found = resources([
      '{name: fs, kind: mount, device: /dev/drbd0, mount_point: /srv}',
      PORT.replace('kind: port', 'kind: port, after: []'),
      '{name: nfs, kind: service, unit: nfs-server.service}',
    ]);
    expect(found[2]?.after).toEqual(['port2', 'fs']);
  });

  it.each([
    ['{name: gate, kind: port-block, ports: [2049], after: []}', /after: opens before "fs" is there/],
    [
      '{name: r, kind: route-table, table: 201, interface: eth1, gateway: 10.0.1.1, from: 10.0.1.11}',
      /table: is already what "routes" holds/,
    ],
    [
      '{name: r, kind: route-table, table: 300, interface: eth1, from: 10.0.1.11, routes: [{to: default}]}',
      /routes\[0\]: a default route needs a "via"/,
    ],
    [
      '{name: r, kind: route-table, table: 300, interface: eth1, from: [10.0.1.11, "fd00::1"], routes: [{to: 10.9.0.0/16, via: "fd00::2"}]}',
      /via: fd00::2 and 10.9.0.0\/16 are of two families/,
    ],
    [
      '{name: p, kind: port, interface: eth1, gateway: "fe80::1%eth1"}',
      /gateway: "fe80::1%eth1" is not an IP address/,
    ],
  ])('%s is refused: it would do harm, or end the executor at its start', (item, why) => {
    const fs = '{name: fs, kind: mount, device: /dev/drbd0, mount_point: /srv}';
    const routes =
      '{name: routes, kind: route-table, table: 200, interface: eth1, gateway: 10.0.1.1, from: 10.0.1.11}';
    expect(problem([fs, routes, item])).toMatch(why);
  });

  it.each(['/srv', '/srv/quorate', '/srv/quorate/a'])('data_dir %s may not lie on a mount', (directory) => {
    const item = `{name: fs, kind: mount, device: /dev/drbd0, mount_point: /srv}`;
    const head = HEAD.replace(/^data_dir: .*$/m, `data_dir: ${directory}`);
    expect(parse([item], 'a', head).problems.join()).toMatch(
      /data_dir: \/srv.* lies on \/srv, which "fs" mounts/,
    );
    expect(parse([item], 'a', head.replace('/srv', '/srv2')).problems).toEqual([]);
  });

  it('nobody else holds the same', () => {
    const one = '{name: fs, kind: mount, device: /dev/drbd0, mount_point: /srv}';
    expect(problem([one, one.replace('fs', 'fs2')])).toContain('mount_point: is already what "fs" holds');
  });
});

describe('a pool that each node has for itself', () => {
  const POOL = '{name: tank, kind: replicated-pool, pool: tank}';
  const head = HEAD.replace('cloud:', 'replication: {pools: [tank]}\ncloud:');

  it('needs nothing but its name', () => {
    expect(resources([POOL], 'a', head)).toEqual([
      { name: 'tank', kind: 'replicated-pool', after: [], pool: 'tank', loadKeys: false },
    ]);
  });

  it('is one of those that are replicated, and does not move as well', () => {
    expect(problem([POOL])).toContain('"tank": the pool "tank" is not among the pools of "replication"');
    const mover = '{name: mover, kind: zfs-pool, pool: tank, devices: /dev/vdb}';
    expect(problem([mover, POOL], head)).toContain('"tank" and "mover" hold one pool, "tank"');
    expect(problem([POOL, POOL.replace('name: tank', 'name: again')], head)).toContain(
      'already what "tank" holds',
    );
  });
});

describe('a pool', () => {
  const BLOCK = '{name: block, kind: drbd, resource: r0}';
  const pool = (more = '') => `{name: tank, kind: zfs-pool, pool: tank${more}}`;

  it('on DRBD needs nothing but its name: its devices are those of the resource, its hosts are the nodes', () => {
    expect(resources([BLOCK, pool()])[1]).toEqual({
      ...{ name: 'tank', kind: 'zfs-pool', after: ['block'], pool: 'tank' },
      ...{ devices: null, loadKeys: false, hosts: { a: 'a', b: 'b' } },
    });
    // However deep.
    expect(resources([BLOCK, PORT, pool()])[2]).toMatchObject({ devices: null });
  });

  it('on disks of its own has to say where, for all nodes or for each', () => {
    const local = pool(', devices: {a: [/dev/disk/by-id], b: [/dev/vdb, /dev/vdc]}, load_keys: true');
    expect(resources([local], 'b')[0]).toMatchObject({ devices: ['/dev/vdb', '/dev/vdc'], loadKeys: true });
    expect(resources([BLOCK, pool(', devices: /dev/vdb, after: []')])[1]).toMatchObject({
      devices: ['/dev/vdb'],
    });
    expect(parse([local], 'w').problems).toEqual([]);
  });

  it('its hosts by other names than the nodes', () => {
    const hosts = '{a: ip-10-0-1-10, b: nas-2.example.org}';
    expect(resources([BLOCK, pool(`, hosts: ${hosts}`)], 'b')[1]).toMatchObject({
      hosts: { a: 'ip-10-0-1-10', b: 'nas-2.example.org' },
    });
  });

  it.each([
    [[pool()], /needs "devices": it stands on no resource of kind "drbd" \(as /],
    [[BLOCK, pool(', after: []')], /needs "devices"/],
    [[pool(', devices: []')], /devices/],
    [[pool(', devices: vdb')], /devices: "vdb" must be absolute paths of devices/],
    [[pool(', devices: {a: /dev/vdb}')], /devices: data node "b" has no devices/],
    [[BLOCK, pool(', devices: [/dev/drbd0, /dev/disk/by-id]')], /by-id may lead to the disk below "block"/],
    // O3: a volume group that calls itself like DRBD is none of its devices.
    [[BLOCK, pool(', devices: /dev/drbd_vg/lv')], /drbd_vg\/lv may lead to the disk below "block"/],
    [[BLOCK, pool(', devices: /dev/drbd0p1')], /drbd0p1 may lead to the disk below "block"/],
    [[BLOCK, pool(', hosts: {a: nas-1}')], /hosts: data node "b" has no host name/],
    [[BLOCK, pool(', hosts: {a: nas, b: nas}')], /hosts\.b: nas is already the host name of "a"/],
    [[BLOCK, pool(', hosts: {a: nas 1, b: nas}')], /hosts\.a: "nas 1" is not a host name \(what "uname -n"/],
    [[BLOCK, pool().replace('pool: tank', 'pool: 1tank')], /pool: "1tank" is not the name of a ZFS pool/],
    [[BLOCK, pool(), pool().replace('tank', 'copy')], /pool: is already what "tank" holds/],
    [[BLOCK, pool(), '{name: gate, kind: port-block, ports: [2049], after: [block]}'], /opens before "tank"/],
  ])('%j is refused', (items, why) => {
    expect(problem(items)).toMatch(why);
  });
});

describe('fencing', () => {
  const withFencing = (text: string): string =>
    HEAD.replace('fencing: {ec2_stop: after}', `fencing: ${text}`);

  it('names the instance of every data node', () => {
    const { config } = parse(
      [PORT],
      'a',
      withFencing(
        '{ec2_stop: before, instances: {a: i-256edbbc, b: i-12345678}, isolation_group: sg-0a1b2c3d}',
      ),
    );
    expect(config?.fencing).toEqual({
      ec2Stop: 'before',
      instances: { a: 'i-256edbbc', b: 'i-12345678' },
      isolationGroup: 'sg-0a1b2c3d',
    });
  });

  it.each([
    ['{ec2_stop: before}', /fencing\.ec2_stop: before needs the instances/],
    ['{instances: {a: i-256edbbc}}', /fencing\.instances: data node "b" has no instance/],
    ['{instances: {a: i-256edbbc, b: i-256edbbc}}', /already the instance of "a"/],
    ['{instances: {a: 256edbbc, b: i-256edbbc}}', /fencing\.instances\.a: "256edbbc" is not an instance id/],
  ])('%s is refused', (text, why) => {
    expect(parse([PORT], 'a', withFencing(text)).problems.join('\n')).toMatch(why);
  });
});
