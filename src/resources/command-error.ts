/** Turns what became of a command into the error that a user meets. */
import { QuorateError } from '../errors.ts';
import type { CommandResult } from './types.ts';

const MAX_QUOTED = 300;

/** Debian's names, for the remedy. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  ss: 'iproute2',
  sysctl: 'procps',
  nft: 'nftables',
  arping: 'iputils-arping',
  ndptool: 'libndp-tools',
  ping: 'iputils-ping',
  fuser: 'psmisc',
  mount: 'mount',
  umount: 'mount',
  zfs: 'zfsutils-linux',
  zpool: 'zfsutils-linux',
};

/** The first sentence that a command said, bounded, on one line. */
export function firstWords(text: string): string {
  return text
    .trim()
    .replaceAll(/\s*\n\s*/g, ' / ')
    .slice(0, MAX_QUOTED);
}

export function commandLine(command: readonly string[]): string {
  return command.join(' ').slice(0, MAX_QUOTED);
}

/** What a command that did not exit by itself means; `exited` is the caller's own business. */
export function commandError(
  command: readonly string[],
  result: Exclude<CommandResult, { kind: 'exited' }>,
): QuorateError {
  const line = commandLine(command);
  const context = { command: line };
  switch (result.kind) {
    case 'missing': {
      const debian = PACKAGES[command[0] ?? ''];
      const remedy = debian === undefined ? '' : ` (apt-get install ${debian})`;
      return new QuorateError('command-missing', `${command[0]} is not installed or not in PATH${remedy}`, {
        context,
      });
    }
    case 'timed-out':
      return new QuorateError(
        'command-timed-out',
        `"${line}" was killed after its limit of ${Math.round(result.limitMs)} ms`,
        { context: { ...context, limitMs: result.limitMs } },
      );
    case 'aborted':
      return new QuorateError('order-ended', `"${line}" was called off: its order is no longer valid`, {
        context,
      });
    case 'died':
      return new QuorateError('command-failed', `"${line}" did not end by itself: ${result.why}`, {
        context,
      });
  }
}

export function exitError(command: readonly string[], code: number, stderr: string): QuorateError {
  const said = firstWords(stderr);
  const line = commandLine(command);
  return new QuorateError(
    'command-failed',
    `"${line}" ended with code ${code}${said === '' ? '' : `: ${said}`}`,
    {
      context: { command: line, code },
    },
  );
}
