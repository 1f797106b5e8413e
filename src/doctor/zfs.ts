/** ZFS pools: nothing may import one by itself, and each host must be told from the others. */
import type { ResourceConfig } from '../config/index.ts';
import { HOST_ID_FILE, readHostId } from '../host-id.ts';
import { ask, complaint, ofKind } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';

type Pool = Extract<ResourceConfig, { kind: 'zfs-pool' }>;

export const zfsCheck: Check = {
  name: 'zfs',
  about:
    'host name and host id, what a boot imports and what resets the host, and cachefile, multihost and failmode of every pool',
  isAlone: false,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const pools = ofKind(context.config, 'zfs-pool');
    if (pools.length === 0) return [skipped('pools', 'no ZFS pool on this node')];
    const findings = await Promise.all([
      hostId(context, pools),
      boot(context),
      ...pools.flatMap((pool) => [hostName(context, pool), reset(context, pool), settings(context, pool)]),
    ]);
    return findings.flat();
  },
};

/** What ZFS writes into the pool: after a crash the other node takes it from a host that it knows, and from no other. */
async function hostName({ config, files }: CheckContext, { pool, hosts }: Pool): Promise<Finding> {
  const subject = `${pool} host name`;
  const expected = config.node === null ? undefined : hosts[config.node];
  const found = (await files.read('/proc/sys/kernel/hostname'))?.trim();
  if (found === undefined || found === '')
    return unknown(subject, '/proc/sys/kernel/hostname cannot be read');
  return found === expected
    ? ok(subject, `${found}, as the other nodes know it`)
    : failed(
        subject,
        `is "${found}", and the others expect "${expected}": after a crash of this host they would not import the pool`,
        'Run "hostnamectl set-hostname" with the node\'s id, or name every host in "hosts" of the resource.',
      );
}

/** Without one ZFS takes every host for itself, and imports what another one has in use. */
async function hostId({ files }: CheckContext, pools: readonly Pool[]): Promise<Finding> {
  const subject = 'host id';
  const text = await files.read(HOST_ID_FILE);
  const hasFile = (await files.kindOf('/etc/hostid')) !== null;
  if (hasFile || readHostId(text) !== null) return ok(subject, 'is set');
  if (text === null) return unknown(subject, 'the module spl is not loaded, and there is no /etc/hostid');
  const detail = 'is not set: an import cannot see that another host has the pool';
  const remedy = 'Run "zgenhostid" on each node.';
  // A device of DRBD is opened by its Primary only (O3).
  return pools.every(({ devices }) => devices === null)
    ? warning(subject, detail, remedy)
    : failed(subject, detail, remedy);
}

/** At boot DRBD is not up yet, and the disk below it has the labels of the pool. */
async function boot({ files }: CheckContext): Promise<Finding> {
  const subject = 'boot';
  const wanted = await files.list('/etc/systemd/system/zfs-import.target.wants');
  return wanted?.includes('zfs-import-scan.service') === true
    ? failed(
        subject,
        'zfs-import-scan.service imports every pool on every disk, also on those below DRBD',
        'Run "systemctl disable zfs-import-scan.service".',
      )
    : ok(subject, 'no unit imports what it finds (zfs-import-scan.service)');
}

/**
 * R1: a cut-off holder's frozen writes end with errors, by which ZFS suspends the pool; then only a reset ends its tenure.
 * `--self-fence sysrq` is the executor's own argument, so it is read of the one that runs.
 */
async function reset({ config, files, watchdog }: CheckContext, pool: Pool): Promise<readonly Finding[]> {
  if (!isOnDrbd(pool)) return [];
  const subject = `${pool.pool} reset`;
  const { mode, device } = config.watchdog;
  if (mode !== 'off' && (await files.kindOf(device)) !== null)
    return [ok(subject, `by the watchdog (${mode})`)];
  const executor = watchdog.executor();
  const command = executor === null ? null : await files.read(`/proc/${executor}/cmdline`);
  if (command === null)
    return [unknown(subject, 'there is no watchdog, and no executor that can be asked whether it has sysrq')];
  if (command.includes('--self-fence\0sysrq\0')) return [ok(subject, 'by sysrq, from the executor')];
  return [
    failed(
      subject,
      'there is neither a watchdog nor sysrq: a holder that is cut off would keep the pool, suspended, until somebody resets it',
      'Set watchdog.mode to required (softdog will do), or start the executor with "--self-fence sysrq".',
    ),
  ];
}

/** As the config takes it: what comes after a DRBD resource names no other devices. */
const isOnDrbd = ({ devices, after }: Pool): boolean =>
  devices === null || (after.length > 0 && devices.every((device) => device.startsWith('/dev/drbd')));

/** Values of `zpool get -H -o property,value`; null where a line is not understood. */
export function parsePoolValues(text: string): ReadonlyMap<string, string> | null {
  const lines = text.trimEnd().split('\n');
  const pairs = lines.map((line) => line.split('\t'));
  if (pairs.some((pair) => pair.length !== 2 || !/^[a-z@_]+$/.test(pair[0] ?? ''))) return null;
  return new Map(pairs.map(([key = '', value = '']) => [key, value]));
}

async function settings(context: CheckContext, { pool, devices }: Pool): Promise<readonly Finding[]> {
  const subject = `${pool} settings`;
  // Of a pool that waits for a lost disk no command comes back.
  const state = (await context.files.read(`/proc/spl/kstat/zfs/${pool}/state`))?.trim();
  if (state !== undefined && state !== 'ONLINE' && state !== 'DEGRADED')
    return [failed(subject, `the pool is ${state}`, 'See "zpool status" and the kernel\'s log.')];
  const command = ['zpool', 'get', '-H', '-o', 'property,value', 'cachefile,multihost,failmode', pool];
  const told = await ask(context, command);
  if (told.kind === 'said' && told.code !== 0 && /no such pool/i.test(told.stderr))
    return [skipped(subject, 'not imported here: they can be read on the holder')];
  if (told.kind !== 'said' || told.code !== 0) return [unknown(subject, complaint('zpool get', told))];
  const values = parsePoolValues(told.stdout);
  if (values === null || values.size < 3)
    return [unknown(subject, 'the answer of "zpool get" is not understood')];
  return [
    cachefile(pool, values.get('cachefile')),
    multihost(pool, values.get('multihost'), devices === null),
    failmode(pool, values.get('failmode')),
  ];
}

function cachefile(pool: string, value: string | undefined): Finding {
  const subject = `${pool} cachefile`;
  return value === 'none'
    ? ok(subject, 'none: no boot imports it')
    : failed(
        subject,
        `is "${value}": the next boot imports the pool without a lease`,
        `Run "zpool set cachefile=none ${pool}", and import with -o cachefile=none.`,
      );
}

function multihost(pool: string, value: string | undefined, isOnDrbd: boolean): Finding {
  const subject = `${pool} multihost`;
  if (!isOnDrbd)
    return ok(
      subject,
      value === 'on' ? 'on' : `${value}: right for disks that only one node sees, and only for those`,
    );
  return value === 'on'
    ? warning(
        subject,
        'on: every import after a crash waits 20 s or more; inside a DRBD device only the Primary can open the pool anyway',
        `Run "zpool set multihost=off ${pool}".`,
      )
    : ok(subject, `${value}`);
}

function failmode(pool: string, value: string | undefined): Finding {
  const subject = `${pool} failmode`;
  const remedy = `Run "zpool set failmode=wait ${pool}".`;
  switch (value) {
    case 'panic':
      return warning(subject, 'panic: a lost disk resets the host', remedy);
    case 'continue':
      return warning(
        subject,
        'continue: a pool that has lost its disk does not say so, and a release hangs instead of naming the cause',
        remedy,
      );
    default:
      return ok(subject, `${value}`);
  }
}
