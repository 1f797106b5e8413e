import { fileSystem, type RoleSwap, swapRoles } from '../replication/index.ts';
import type { Scenario } from '../stage.ts';

const TOP = Array.from({ length: 16 }, (_, index) => fileSystem(`fs${String(index + 1).padStart(2, '0')}`));
const NESTED = ['home', 'mail', 'mail/old', 'mail/old/2019'].map((name) => `${TOP[0]}/${name}`);
const LARGE: RoleSwap = {
  fileSystems: [...TOP, ...NESTED],
  volumes: ['disk1', 'disk2'].map(fileSystem),
  kib: 256,
  written: [...TOP.slice(0, 3), ...NESTED.slice(1, 3)],
  periods: 10,
};
const SMALL: RoleSwap = {
  fileSystems: ['home', 'home/ann', 'home/ann/mail', 'projects'].map(fileSystem),
  volumes: [fileSystem('disk')],
  kib: 256,
  written: ['home', 'home/ann/mail', 'projects'].map(fileSystem),
  periods: 3,
};

export const replicationRoleSwap: Scenario = {
  name: 'replication-role-swap',
  about:
    'A pool with 20 file systems and 2 volumes is discovered and copied, and replicated for ten periods under write load. The holder loses its power. The standby goes on from its copy; the old one comes back, keeps what only it has, and receives.',
  storage: 'replicated',
  run: (stage) => swapRoles(stage, LARGE),
};

export const replicationFailover: Scenario = {
  name: 'replication-failover',
  about: 'As replication-role-swap, with 4 file systems and a volume for three periods.',
  storage: 'replicated',
  run: (stage) => swapRoles(stage, SMALL),
};
