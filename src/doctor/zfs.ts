/** ZFS pools: nothing may import one by itself, and two hosts must be told apart. */
import { ask, complaint, resourcesOf } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';

export const zfsCheck: Check = {
  name: 'zfs',
  about: 'cachefile, multihost and failmode of every pool, and the host id',
  isAlone: false,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const pools = poolsOf(context.config);
    if (pools.length === 0) return [skipped('pools', 'no ZFS pool on this node')];
    const findings = await Promise.all([hostId(context), ...pools.map((pool) => ofPool(context, pool))]);
    return findings.flat();
  },
};

/** The kind is not built yet: its pool is read by the name that the design gives it. */
function poolsOf(config: CheckContext['config']): readonly string[] {
  return resourcesOf(config).flatMap((resource) => {
    const fields = new Map<string, unknown>(Object.entries(resource));
    const pool = fields.get('pool');
    return fields.get('kind') === 'zfs-pool' && typeof pool === 'string' ? [pool] : [];
  });
}

/** Two hosts with the same id take each other's pool for their own. */
async function hostId({ files }: CheckContext): Promise<readonly Finding[]> {
  const subject = 'host id';
  const text = (await files.read('/sys/module/spl/parameters/spl_hostid'))?.trim();
  const hasFile = (await files.kindOf('/etc/hostid')) !== null;
  if (hasFile || (text !== undefined && /^[1-9]\d*$/.test(text))) return [ok(subject, 'is set')];
  if (text === undefined)
    return [unknown(subject, 'the module spl is not loaded, and there is no /etc/hostid')];
  return [
    warning(
      subject,
      'is not set: an import cannot see that another host has the pool',
      'Run "zgenhostid" on each node.',
    ),
  ];
}

/** Values of `zpool get -H -o property,value`; null where a line is not understood. */
export function parsePoolValues(text: string): ReadonlyMap<string, string> | null {
  const lines = text.trimEnd().split('\n');
  const pairs = lines.map((line) => line.split('\t'));
  if (pairs.some((pair) => pair.length !== 2 || !/^[a-z@_]+$/.test(pair[0] ?? ''))) return null;
  return new Map(pairs.map(([key = '', value = '']) => [key, value]));
}

async function ofPool(context: CheckContext, pool: string): Promise<readonly Finding[]> {
  const command = ['zpool', 'get', '-H', '-o', 'property,value', 'cachefile,multihost,failmode', pool];
  const told = await ask(context, command);
  if (told.kind === 'said' && told.code !== 0 && /no such pool/i.test(told.stderr))
    return [skipped(`${pool} settings`, 'not imported here: they can be read on the holder')];
  if (told.kind !== 'said' || told.code !== 0)
    return [unknown(`${pool} settings`, complaint('zpool get', told))];
  const values = parsePoolValues(told.stdout);
  if (values === null || values.size < 3)
    return [unknown(`${pool} settings`, 'the answer of "zpool get" is not understood')];
  return [
    cachefile(pool, values.get('cachefile')),
    multihost(pool, values.get('multihost')),
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

function multihost(pool: string, value: string | undefined): Finding {
  const subject = `${pool} multihost`;
  return value === 'on'
    ? warning(
        subject,
        'on: every import after a crash waits 20 s or more; inside a DRBD device only the Primary can open the pool anyway',
        `Run "zpool set multihost=off ${pool}", unless the disks are shared without DRBD.`,
      )
    : ok(subject, `${value}`);
}

function failmode(pool: string, value: string | undefined): Finding {
  const subject = `${pool} failmode`;
  return value === 'panic'
    ? warning(subject, 'panic: a lost disk resets the host', `Run "zpool set failmode=wait ${pool}".`)
    : ok(subject, `${value}`);
}
