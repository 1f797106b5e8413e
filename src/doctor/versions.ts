/** Node, kernel, and the tools of the configured kinds: there, the right ones, and which. */
import type { ResourceConfig, SendConfig } from '../config/index.ts';
import { ask, complaint, isWitness, resourcesOf, type Told, words } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';

/** As `engines` of package.json has it. */
export const LEAST_NODE = '20.19.0';

interface Tool {
  readonly name: string;
  readonly command: readonly string[];
  isNeeded(resource: ResourceConfig): boolean;
  /** Also without a resource. */
  isNeededToSend?(send: SendConfig): boolean;
  /** What it says about itself; null: that is not this tool's answer. */
  version(told: Extract<Told, { kind: 'said' }>): string | null;
  /** What another tool of the same name says, which cannot do what is needed. */
  readonly other?: RegExp;
  readonly remedy: string;
}

const kinds =
  (...names: readonly ResourceConfig['kind'][]) =>
  ({ kind }: ResourceConfig): boolean =>
    names.includes(kind);

const firstMatch =
  (pattern: RegExp) =>
  ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string | null =>
    pattern.exec(`${stdout}\n${stderr}`)?.[1] ?? null;

const isAnnounced = (resource: ResourceConfig): resource is Extract<ResourceConfig, { kind: 'virtual-ip' }> =>
  resource.kind === 'virtual-ip' && resource.announce;

const isIpv6 = (address: string): boolean => address.includes(':');

const TOOLS: readonly Tool[] = [
  {
    name: 'drbdadm',
    command: ['drbdadm', '--version'],
    isNeeded: kinds('drbd'),
    version: firstMatch(/^DRBDADM_VERSION=(\S+)/m),
    remedy: 'apt-get install drbd-utils, and put /usr/sbin into the PATH of the units.',
  },
  {
    name: 'zfs',
    command: ['zfs', 'version'],
    isNeeded: kinds('zfs-pool', 'replicated-pool'),
    isNeededToSend: () => true,
    version: firstMatch(/^zfs-(?!kmod)(\S+)/m),
    remedy: 'apt-get install zfsutils-linux zfs-dkms.',
  },
  {
    name: 'pv',
    command: ['pv', '--version'],
    isNeeded: () => false,
    isNeededToSend: ({ bytesPerSecond }) => bytesPerSecond !== null,
    version: firstMatch(/^pv (\d\S*)/m),
    remedy: 'apt-get install pv, or take "bandwidth" out of "replication": nothing is sent without it.',
  },
  {
    name: 'ip',
    command: ['ip', '-V'],
    isNeeded: kinds('port', 'route-table', 'virtual-ip', 'private-ip'),
    version: firstMatch(/^ip utility, iproute2-(\S+?),?(?:\s|$)/m),
    other: /busybox/i,
    remedy: 'apt-get install iproute2 (that of busybox knows no JSON).',
  },
  {
    name: 'nft',
    command: ['nft', '--version'],
    isNeeded: kinds('port-block'),
    version: firstMatch(/^nftables v(\S+)/m),
    remedy: 'apt-get install nftables.',
  },
  {
    name: 'ss',
    command: ['ss', '-V'],
    isNeeded: (resource) => resource.kind === 'port-block' && resource.resetConnections,
    version: firstMatch(/^ss utility, iproute2-(\S+?),?(?:\s|$)/m),
    other: /busybox/i,
    remedy: 'apt-get install iproute2.',
  },
  {
    name: 'arping',
    command: ['arping', '-V'],
    isNeeded: (resource) => isAnnounced(resource) && !isIpv6(resource.address),
    version: firstMatch(/^arping from iputils (\S+)/m),
    other: /Habets|busybox/i,
    remedy: 'apt-get install iputils-arping; the other "arping" has other options.',
  },
  {
    name: 'ndptool',
    command: ['ndptool', '--help'],
    isNeeded: (resource) => isAnnounced(resource) && isIpv6(resource.address),
    version: ({ stdout, stderr }) =>
      /--unsolicited/.test(`${stdout}${stderr}`) ? 'with --unsolicited' : null,
    other: /^ndptool \[options\]/m,
    remedy: 'apt-get install libndp-tools (1.8 or later).',
  },
  {
    name: 'systemctl',
    command: ['systemctl', '--version'],
    isNeeded: (resource) => resource.kind === 'service' && resource.service.kind === 'unit',
    version: firstMatch(/^systemd (\S+)/m),
    remedy: 'Units need systemd; without it give "start", "stop" and "probe" commands.',
  },
  {
    name: 'mount',
    command: ['mount', '--version'],
    isNeeded: kinds('mount', 'zfs-pool', 'replicated-pool'),
    version: firstMatch(/^mount from util-linux (\S+)/m),
    other: /busybox/i,
    remedy: 'apt-get install mount.',
  },
  {
    name: 'fuser',
    command: ['fuser', '-V'],
    isNeeded: kinds('mount', 'zfs-pool', 'replicated-pool'),
    version: firstMatch(/^fuser \(PSmisc\) (\S+)/m),
    other: /busybox/i,
    remedy: 'apt-get install psmisc: an abrupt release kills who uses the file system (R1).',
  },
];

export const versionsCheck: Check = {
  name: 'versions',
  about: 'Node.js, kernel, and the tools that the configured resources need',
  isAlone: false,
  isHarmless: true,
  limitMs: 6000,
  run: async (context) => {
    const resources = resourcesOf(context.config);
    const send = isWitness(context.config) ? null : (context.config.replication?.send ?? null);
    const tools = TOOLS.filter(
      (tool) =>
        resources.some((resource) => tool.isNeeded(resource)) ||
        (send !== null && tool.isNeededToSend?.(send) === true),
    );
    const needs = (kind: ResourceConfig['kind']): boolean => resources.some((one) => one.kind === kind);
    return Promise.all([
      nodeFinding(context.host.nodeVersion),
      ok('kernel', `Linux ${context.host.kernelRelease}`),
      ...tools.map((tool) => toolFinding(context, tool)),
      ...(needs('drbd') ? [drbdModule(context)] : []),
      ...(needs('zfs-pool') || needs('replicated-pool') ? [zfsModule(context)] : []),
      ...(resources.length === 0 && tools.length === 0
        ? [skipped('tools', 'no resource needs one on this node')]
        : []),
    ]);
  },
};

function nodeFinding(version: string): Finding {
  const isEnough = compareVersions(version, LEAST_NODE) >= 0;
  return isEnough
    ? ok('node', `Node.js ${version}`)
    : failed('node', `Node.js ${version} is older than ${LEAST_NODE}`, 'Install Node.js 22 or 24.');
}

/** Numbers between dots; what is no number counts as 0. */
export function compareVersions(left: string, right: string): number {
  const numbers = (text: string): number[] => text.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const [a, b] = [numbers(left), numbers(right)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

async function toolFinding(context: CheckContext, tool: Tool): Promise<Finding> {
  const told = await ask(context, tool.command);
  if (told.kind === 'missing') return failed(tool.name, complaint(tool.name, told), tool.remedy);
  if (told.kind === 'silent') return unknown(tool.name, told.why);
  const version = tool.version(told);
  if (version !== null) return ok(tool.name, `${tool.name} ${version}`);
  const said = words(told.stdout === '' ? told.stderr : told.stdout);
  return tool.other?.test(`${told.stdout}\n${told.stderr}`)
    ? failed(tool.name, `is not the one that is needed: it says "${said}"`, tool.remedy)
    : unknown(tool.name, `says "${said}", which is no version`, tool.remedy);
}

/** /proc/drbd is there while the module is loaded, 8.4 and 9 alike. */
async function drbdModule(context: CheckContext): Promise<Finding> {
  const subject = 'drbd module';
  const loaded = parseProcDrbd(await context.files.read('/proc/drbd'));
  if (loaded !== null) return ok(subject, `DRBD ${loaded} is loaded`);
  const told = await ask(context, ['drbdadm', '--version']);
  if (told.kind !== 'said') return unknown(subject, `no /proc/drbd, and ${complaint('drbdadm', told)}`);
  const remedy = 'modprobe drbd, and name it in /etc/modules-load.d so that it is there after a boot.';
  const found = parseKernelVersion(told.stdout);
  if (found === null) return unknown(subject, 'no /proc/drbd, and drbdadm names no version of the kernel');
  return found === 'none'
    ? failed(subject, 'the kernel module is not there: nothing can be promoted', remedy)
    : warning(subject, `DRBD ${found} is installed, but /proc/drbd is not there: it is not loaded`, remedy);
}

async function zfsModule({ files }: CheckContext): Promise<Finding> {
  const subject = 'zfs module';
  const version = (await files.read('/sys/module/zfs/version'))?.trim();
  if (version !== undefined && version !== '') return ok(subject, `ZFS ${version} is loaded`);
  return warning(
    subject,
    'is not loaded: the first import would load it, which takes seconds',
    'modprobe zfs (of zfs-dkms), and name it in /etc/modules-load.d so that it is there after a boot.',
  );
}

/** "8.4.11" of /proc/drbd; null for anything else. */
export function parseProcDrbd(text: string | null): string | null {
  return /^version: (\d+\.\d+\.\d+\S*)/m.exec(text ?? '')?.[1] ?? null;
}

/** DRBD_KERNEL_VERSION_CODE=0x08040b is "8.4.11", 0 is "none"; null where it is not said. */
export function parseKernelVersion(text: string): string | null {
  const digits = /^DRBD_KERNEL_VERSION_CODE=0x([0-9a-fA-F]{1,6})$/m.exec(text)?.[1];
  if (digits === undefined) return null;
  const code = Number.parseInt(digits, 16);
  return code === 0 ? 'none' : `${code >> 16}.${(code >> 8) & 255}.${code & 255}`;
}
