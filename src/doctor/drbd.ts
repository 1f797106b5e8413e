/** DRBD, the write fence (O3): is every resource guarded, as its config says and as its kernel does? */
import { ask, complaint, ofKind, type Told } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { connectionFinding } from './drbd-connection.ts';
import { judgeQuorum } from './drbd-quorum.ts';
import {
  type DrbdConfig,
  type DrbdSettings,
  differences,
  judge,
  parseDump,
  parseShowJson,
  parseShowText,
} from './drbd-settings.ts';
import { type Finding, skipped, unknown, warning } from './report.ts';
import { parseKernelVersion, parseProcDrbd } from './versions.ts';

export const drbdCheck: Check = {
  name: 'drbd',
  about: 'fencing or quorum, protocol, promotion, handlers and connection of every DRBD resource',
  isAlone: false,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const resources = ofKind(context.config, 'drbd');
    if (resources.length === 0) return [skipped('resources', 'no DRBD resource on this node')];
    // One command for all: only the whole dump has what stands under "common".
    const dump = await ask(context, ['drbdadm', 'dump']);
    const findings = await Promise.all(resources.map((resource) => one(context, resource.resource, dump)));
    return findings.flat();
  },
};

async function one(context: CheckContext, name: string, dump: Told): Promise<readonly Finding[]> {
  const [kernel, connection] = await Promise.all([inKernel(context, name), connectionFinding(context, name)]);
  const config = inConfig(name, dump);
  const settings = 'why' in kernel ? ('why' in config ? null : config.settings) : kernel;
  const notes = [
    // Where the kernel cannot be read that is said once. (A kernel 8.4 that stands alone shows no settings of the network.)
    ...('why' in kernel && connection.result === 'unknown' ? [] : [connection]),
    ...('why' in config
      ? [unknown(`${name} config`, config.why, 'Run "drbdadm dump" by hand, as the user of the executor.')]
      : []),
    ...('why' in kernel
      ? [unknown(`${name} kernel`, kernel.why, `Bring it up with "drbdadm up ${name}", and ask again.`)]
      : []),
  ];
  if (settings === null)
    return [unknown(`${name} guard`, 'neither config nor kernel could be read: nothing is known'), ...notes];
  const said = 'why' in config ? null : config;
  const judged = [
    ...judge({
      resource: name,
      settings,
      source: 'why' in kernel ? 'config' : 'kernel',
      config: said,
      major: await majorVersion(context),
    }),
    ...judgeQuorum({ resource: name, settings, config: said, witness: witnessOf(context) }),
  ];
  const isComparable = !('why' in kernel) && !('why' in config);
  return [...judged, ...(isComparable ? adjustment(name, kernel, config) : []), ...notes];
}

const witnessOf = ({ config }: CheckContext): string | null =>
  config.members.find(({ witness }) => witness)?.id ?? null;

function inConfig(name: string, dump: Told): DrbdConfig | { readonly why: string } {
  if (dump.kind !== 'said' || dump.code !== 0) return { why: complaint('drbdadm dump', dump) };
  return parseDump(dump.stdout, name) ?? { why: `"drbdadm dump" has no ${name} that is understood` };
}

/** By JSON where the module is a 9; 8.4's drbdsetup knows neither of the options. */
async function inKernel(
  context: CheckContext,
  name: string,
): Promise<DrbdSettings | { readonly why: string }> {
  const json = await ask(context, ['drbdsetup', 'show', '--show-defaults', '--json', name]);
  if (json.kind === 'said' && json.code === 0) {
    const settings = parseShowJson(json.stdout, name);
    if (settings !== null) return settings;
  }
  const text = await ask(context, ['drbdsetup', 'show', name]);
  if (text.kind !== 'said' || text.code !== 0) return { why: complaint('drbdsetup show', text) };
  const settings = parseShowText(text.stdout, name);
  return settings ?? { why: `"drbdsetup show ${name}" shows nothing that is understood: is it up?` };
}

async function majorVersion(context: CheckContext): Promise<number | null> {
  const loaded = parseProcDrbd(await context.files.read('/proc/drbd'));
  if (loaded !== null) return Number.parseInt(loaded, 10);
  const told = await ask(context, ['drbdadm', '--version']);
  const found = told.kind === 'said' ? parseKernelVersion(told.stdout) : null;
  return found === null || found === 'none' ? null : Number.parseInt(found, 10);
}

function adjustment(name: string, kernel: DrbdSettings, config: DrbdConfig): readonly Finding[] {
  const keys = differences(kernel, config.settings);
  if (keys.length === 0) return [];
  return [
    warning(
      `${name} adjustment`,
      `the kernel has other values than the config: ${keys.join(', ')}`,
      `Run "drbdadm adjust ${name}".`,
    ),
  ];
}
