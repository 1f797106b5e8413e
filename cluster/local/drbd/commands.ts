/**
 * DRBD stand-in: what `drbdadm` and `drbdsetup` of drbd-utils 9.22 do and print with a kernel module 8.4, as far as
 * an agent or its tests use it: texts, streams and exit codes as captured (lab.md section 5).
 */
import type { Refusal } from './refusals.ts';
import type { Resource } from './resource.ts';
import { isEstablished, statusLines } from './state.ts';

export interface Answer {
  readonly exit: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

const done = (...stdout: string[]): Answer => ({ exit: 0, stdout, stderr: [] });
const failed = (exit: number, ...stderr: string[]): Answer => ({ exit, stdout: [], stderr });

/** What the commands work on. */
export interface Kernel {
  readonly resourceName: string;
  readonly minor: number;
  /** null while the resource is down. */
  readonly resource: Resource | null;
  up(): Promise<number>;
  down(): Promise<Refusal | null>;
}

const VERSION = [
  'DRBDADM_BUILDTAG=quorate-local-drbd-stand-in',
  'DRBDADM_API_VERSION=1',
  'DRBD_KERNEL_VERSION_CODE=0x08040b',
  'DRBD_KERNEL_VERSION=8.4.11',
  'DRBDADM_VERSION_CODE=0x091600',
  'DRBDADM_VERSION=9.22.0',
];

const NOT_ALLOCATED = (minor: number): string[] => [
  `${minor}: Failure: (127) Device minor not allocated`,
  'additional info from kernel:',
  'unknown minor',
];

function change(refusal: Refusal | null, minor: number, command: string): Answer {
  if (refusal === null) return done();
  return failed(
    refusal.exit,
    `${minor}: State change failed: (${refusal.number}) ${refusal.text}`,
    `Command 'drbdsetup-84 ${command} ${minor}' terminated with exit code ${refusal.exit}`,
  );
}

/** Arguments without options, and the options: `drbdadm -- --force primary r0` and `primary --force r0` alike. */
function split(words: readonly string[]): { words: string[]; options: Set<string> } {
  const isOption = (word: string): boolean => word.startsWith('-');
  return {
    words: words.filter((word) => !isOption(word)),
    options: new Set(words.filter((word) => isOption(word) && word !== '--')),
  };
}

export async function drbdadm(kernel: Kernel, line: readonly string[]): Promise<Answer> {
  const { words, options } = split(line);
  if (options.has('--version')) return done(...VERSION);
  const [command, name] = words;
  if (command === undefined) return failed(1, 'drbdadm (stand-in): a command is missing');
  if (name === undefined && command !== 'status')
    return failed(1, `drbdadm (stand-in): ${command} needs a resource`);
  if (name !== undefined && name !== kernel.resourceName && name !== 'all')
    return failed(1, `'${name}' not defined in your config (for this host).`);
  const { resource, minor } = kernel;
  if (command === 'sh-dev') return done(`/dev/drbd${minor}`);
  if (command === 'up') {
    if (resource !== null) return done();
    const inDoubt = await kernel.up();
    return inDoubt === 0 ? done() : done(`Marked additional ${inDoubt * 4} KB as out-of-sync based on AL.`);
  }
  if (resource === null) {
    if (command === 'down') return done();
    // Read from the metadata of a device that is down: a trap that callers must know.
    if (command === 'dstate') return done('Consistent');
    if (command === 'status')
      return name === undefined
        ? failed(0, '# No currently configured DRBD found.')
        : failed(10, `${name}: No such resource`);
    return failed(
      10,
      ...NOT_ALLOCATED(minor),
      `Command 'drbdsetup-84 ${command} ${minor}' terminated with exit code 10`,
    );
  }
  return drbdadmUp(kernel, resource, command, options);
}

async function drbdadmUp(
  kernel: Kernel,
  resource: Resource,
  command: string,
  options: ReadonlySet<string>,
): Promise<Answer> {
  const { minor, resourceName } = kernel;
  const { view } = resource;
  switch (command) {
    case 'role':
      return done(`${view.role}/${view.peerRole}`);
    case 'cstate':
      return done(view.connection);
    case 'dstate':
      return done(`${view.disk}/${view.peerDisk}`);
    case 'status':
      return done(...statusLines(resourceName, view, resource.donePercent));
    case 'primary':
      return change(await resource.primary(options.has('--force')), minor, command);
    case 'secondary':
      // DRBD 8.4 has no `secondary --force` (R1).
      if (options.has('--force')) return failed(20, "secondary: unrecognized option '--force'");
      return change(await resource.secondary(), minor, command);
    case 'outdate':
      return change(resource.outdate(), minor, command);
    case 'suspend-io':
      resource.suspendIo();
      return done();
    case 'resume-io':
      resource.resumeIo();
      return done();
    case 'connect':
      if (view.connection !== 'StandAlone')
        return failed(10, `${minor}: Failure: (125) Device has a net-config (use disconnect first)`);
      resource.connect(options.has('--discard-my-data'));
      return done();
    case 'disconnect':
      if (view.connection === 'StandAlone')
        return failed(
          10,
          '??: Failure: (162) Invalid configuration request',
          'additional info from kernel:',
          'unknown connection',
        );
      await resource.disconnect();
      return done();
    case 'down':
      return change(await kernel.down(), minor, command);
    default:
      return failed(1, `drbdadm (stand-in): unknown command '${command}'`);
  }
}

/** All but `events2`, which the control server streams. */
export function drbdsetup(kernel: Kernel, line: readonly string[]): Answer {
  const { words, options } = split(line);
  const [command, name] = words;
  if (command === 'status' || command === 'show') {
    // The tools for 8.4 know no JSON: callers must fall back to `events2` (lab.md section 5).
    if (options.has('--json'))
      return failed(
        20,
        `${command}: unrecognized option '--json'`,
        'USAGE: drbdsetup command device arguments options ...',
      );
    const isOurs = name === undefined || name === kernel.resourceName;
    if (kernel.resource === null || !isOurs)
      return name === undefined ? done() : failed(10, `${name}: No such resource`);
    const { resource, resourceName } = kernel;
    return command === 'show'
      ? done(`resource ${resourceName} {`, '    # stand-in', '}')
      : done(...statusLines(resourceName, resource.view, resource.donePercent));
  }
  if (command === 'role' || command === 'cstate' || command === 'dstate') {
    const { resource } = kernel;
    if (resource === null || name !== String(kernel.minor)) return failed(10, ...NOT_ALLOCATED(kernel.minor));
    const { view } = resource;
    if (command === 'role') return done(`${view.role}/${view.peerRole}`);
    return done(command === 'cstate' ? view.connection : `${view.disk}/${view.peerDisk}`);
  }
  return failed(20, `drbdsetup (stand-in): unknown command '${command ?? ''}'`);
}

/** For observers outside the node: everything at once. */
export function snapshot(kernel: Kernel): Record<string, unknown> {
  const { resource } = kernel;
  if (resource === null) return { up: false };
  const { replica } = resource;
  return {
    up: true,
    ...resource.view,
    isHeld: resource.isHeld,
    isConnected: isEstablished(resource.view.connection),
    outOfSyncBlocks: replica.bitmap.count,
    metadata: replica.metadata,
  };
}
