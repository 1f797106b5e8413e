/** The config of the product's contract, as it stands there: with what others configure, such as the second port's address by DHCP. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';
import { configDirectory, GOOD } from './fixture.ts';

let directory = '';
let remove = (): void => undefined;
beforeAll(async () => {
  ({ directory, remove } = await configDirectory());
});
afterAll(() => remove());

const RESOURCES = `resources:
  - {name: block, kind: drbd, resource: r0}
  - {name: tank, kind: zfs-pool, pool: tank}
  - {name: port2, kind: port, interface: eth1}
  - {name: routes, kind: route-table, table: 200, interface: eth1, gateway: 10.0.1.1}
  - {name: eip, kind: elastic-ip, allocation: eipalloc-03a7e962, interfaces: {a: eni-46561127, b: eni-77f0c1aa}, via: port2, after: [block]}
  - {name: nfs, kind: service, unit: nfs-server.service, after: [tank, eip]}
`;

it.each(['a', 'b', 'w'])('is good on %s', (node) => {
  const text = GOOD.replace(/resources:[\s\S]*/, RESOURCES).replace('node: a\n', '');
  const { config, problems } = parseConfig(text, join(directory, 'q.yaml'), { node });
  expect(problems).toEqual([]);
  expect(config?.resources.map(({ name, after }) => [name, after])).toEqual([
    ['block', []],
    ['tank', ['block']],
    ['port2', ['tank']],
    ['routes', ['port2']],
    ['eip', ['block']],
    ['nfs', ['tank', 'eip']],
  ]);
  expect(config?.resources[3]).toMatchObject({ from: null });
  expect(config?.resources[4]).toMatchObject({ via: 'eth1' });
});
