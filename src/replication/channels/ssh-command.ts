/** How ssh is called: with nothing of the user's or the system's own settings, keys and known hosts, and with no question asked. */
import { spawn } from 'node:child_process';
import type { SshChannelConfig } from '../../config/index.ts';
import type { NodeId } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { hostKeyAlias, type SshPaths } from './paths.ts';

export interface SshTarget {
  readonly cluster: string;
  readonly to: NodeId;
  readonly channel: Pick<SshChannelConfig, 'user' | 'port' | 'hosts'>;
  readonly paths: SshPaths;
}

const CONNECT_LIMIT_S = 10;
/** A connection without a word for so long, three times, is given up. */
const ALIVE_EVERY_S = 5;

export function sshArguments(target: SshTarget, command: string): string[] {
  const { cluster, to, channel, paths } = target;
  const host = channel.hosts[to];
  if (host === undefined) throw new QuorateError('usage', `replication.channel has no host for ${to}`);
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${quoted(paths.knownHosts)}`,
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    'VerifyHostKeyDNS=no',
    `HostKeyAlias=${hostKeyAlias(cluster, to)}`,
    'CheckHostIP=no',
    `IdentityFile=${quoted(paths.key)}`,
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'PreferredAuthentications=publickey',
    'ControlPath=none',
    'ClearAllForwardings=yes',
    'ForwardAgent=no',
    'PermitLocalCommand=no',
    `ConnectTimeout=${CONNECT_LIMIT_S}`,
    `ServerAliveInterval=${ALIVE_EVERY_S}`,
    'ServerAliveCountMax=3',
    // A replication stream is compressed by ZFS, or not at all.
    'Compression=no',
    'LogLevel=ERROR',
  ];
  return [
    ...['-F', '/dev/null', '-T'],
    ...options.flatMap((option) => ['-o', option]),
    ...['-p', String(channel.port), '-l', channel.user, '--', host, command],
  ];
}

/** ssh takes blanks for separators, and "%" for the beginning of a token. */
const quoted = (path: string): string => `"${path.replaceAll('%', '%%')}"`;

export function spawnSsh(target: SshTarget, command: string, stdin: 'ignore' | 'pipe') {
  return spawn('ssh', sshArguments(target, command), {
    stdio: [stdin, 'pipe', 'pipe'],
    // ssh must not find an agent, an askpass program or another language.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LC_ALL: 'C' },
  });
}

/** Why ssh itself has ended, by what it said. */
export function sshFailure({ to, channel }: SshTarget, stderr: string): QuorateError {
  const said = stderr
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 400);
  const where = `${to} (${channel.user}@${channel.hosts[to]}, port ${channel.port})`;
  if (
    /host key verification failed|host identification has changed|host key .* has changed|no .*host key is known/i.test(
      stderr,
    )
  )
    return new QuorateError(
      'replication-unpaired',
      `what answers as ${where} is not the sshd whose host key is pinned: ${said}`,
    );
  if (/permission denied|identity file .* not accessible|no such identity/i.test(stderr))
    return new QuorateError('replication-unpaired', `${where} does not take the key of this node: ${said}`);
  return new QuorateError(
    'peer-unreachable',
    `ssh to ${where} ended${said === '' ? ' without a word' : `: ${said}`}`,
  );
}
