/** A lab's files: certificates, configs, and the disks of the guests. */
import { execFile } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import { createAuthority, issueClient, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import { type StoreScripts, writeStoreScripts } from '../local/store/index.ts';
import {
  bootNetwork,
  DATA_NODES,
  gatewayOf,
  isDataNode,
  managementAddress,
  NODES,
  type NodeName,
  replAddress,
} from './hosts.ts';
import { type HostPlan, POOL, planConfig, planDrbd, planStore, STORAGES, STORE_CONTROL } from './plan.ts';

/** The doctor wants to see room (D3). */
const STATE_DISK = '256M';
/** By guest/init.sh. */
const STATE_MOUNT = '/var/lib/quorate';
/** In a guest: what the `service` resource starts. */
export const START_SCRIPT = `${STATE_MOUNT}/bin/start`;
const LIMIT_MS = 20_000;

export interface LabFiles {
  readonly operator: TlsMaterial;
  readonly stateDisk: (node: NodeName) => string;
  /** None for a witness. */
  readonly dataDisks: (node: NodeName) => readonly string[];
}

/** `folder`: a new one. */
export async function writeLabFiles(plan: HostPlan, folder: string): Promise<LabFiles> {
  const { cluster, timing, storage } = plan;
  const authority = await createAuthority(cluster);
  const operator = await issueClient(authority, 'admin', 'lab');
  const stateDisk = (node: NodeName): string => join(folder, `state-${node}.img`);
  const { disks, diskBytes } = STORAGES[storage];
  const dataDisks = (node: NodeName): readonly string[] =>
    Array.from({ length: isDataNode(node) ? disks : 0 }, (_, disk) =>
      join(folder, `data${disk}-${node}.img`),
    );
  for (const node of NODES) {
    const root = join(folder, `state-${node}`);
    const etc = join(root, 'etc');
    mkdirSync(etc, { recursive: true });
    mkdirSync(join(root, 'data'), { mode: 0o700, recursive: true });
    const pair = await issueNode(authority, node, { hosts: [replAddress(node), managementAddress(node)] });
    const put = (name: string, text: string, mode = 0o644): void =>
      writeFileSync(join(etc, name), text, { mode });
    put('ca.pem', authority.certificate);
    put('node.pem', pair.certificate);
    put('node.key', pair.key, 0o600);
    put('quorate.yaml', stringify(planConfig(plan, node, writeScripts(root))));
    put('network', `${bootNetwork(node).join('\n')}\n`);
    if (isDataNode(node)) {
      put('store.json', JSON.stringify(planStore(node, storage)));
      put('r0.res', planDrbd(timing, storage));
      if (storage === 'replicated') put('pools', `${POOL}\n`);
    }
    await makeDisk(stateDisk(node), root);
  }
  for (const disk of DATA_NODES.flatMap(dataDisks)) {
    // ZFS would write a partition table to a whole disk, and then wait for udev, which guests do not have.
    const isPartitioned = storage === 'replicated' && basename(disk).startsWith('data1');
    writeFileSync(disk, isPartitioned ? onePartition(diskBytes) : '');
    truncateSync(disk, diskBytes);
  }
  const { certificate: cert, key } = operator;
  return { operator: { ca: authority.certificate, cert, key }, stateDisk, dataDisks };
}

/**
 * On the state disk; the paths are those in the guest. The start makes the way to the clients, then has the store serve. Not a
 * `route-table` resource: a start or a look at one takes five commands, which is a second on such kernels (TIMINGS); its tests
 * on real kernels are those of the test network.
 */
function writeScripts(root: string): StoreScripts {
  const written = writeStoreScripts(join(root, 'bin'), STORE_CONTROL, '/run/lab/store.pid');
  const inGuest = (path: string): string => path.replace(root, STATE_MOUNT);
  const gateways = DATA_NODES.map((node) => `${node}) gateway=${gatewayOf('svc', node)} ;;`).join(' ');
  const lines = [
    '#!/bin/bash',
    `case $HOSTNAME in ${gateways} esac`,
    'ip route replace default via "$gateway" dev eth1 || exit 1',
    `exec ${inGuest(written.start)}`,
  ];
  const start = join(root, 'bin/start');
  writeFileSync(start, `${lines.join('\n')}\n`, { mode: 0o755 });
  return { start: inGuest(start), stop: inGuest(written.stop), probe: inGuest(written.probe) };
}

const SECTOR_BYTES = 512;
const FIRST_SECTOR = 2048;
/** "Solaris", as every partition of ZFS was once. */
const PARTITION_TYPE = 0xbf;

/** A master boot record with one partition, the rest of the disk. */
export function onePartition(diskBytes: number): Buffer {
  const record = Buffer.alloc(SECTOR_BYTES);
  record.writeUInt8(PARTITION_TYPE, 446 + 4);
  record.writeUInt32LE(FIRST_SECTOR, 446 + 8);
  record.writeUInt32LE(diskBytes / SECTOR_BYTES - FIRST_SECTOR, 446 + 12);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

function makeDisk(image: string, content: string): Promise<void> {
  const words = ['-q', '-F', '-d', content, image, STATE_DISK];
  return new Promise((resolve, reject) => {
    execFile('mkfs.ext4', words, { timeout: LIMIT_MS }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`mkfs.ext4: ${stderr.trim() || error.message}`));
    });
  });
}
