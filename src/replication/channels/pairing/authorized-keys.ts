/**
 * The one line of ours in `authorized_keys`. Every other line stays as it is, to the byte. With the key of that line a login
 * can do nothing but run `quorate replication serve` for that peer: no shell, no terminal, no forwarding (`restrict`).
 */
import { dirname, join } from 'node:path';
import type { SshChannelConfig } from '../../../config/index.ts';
import type { NodeId } from '../../../core/index.ts';
import { QuorateError } from '../../../errors.ts';
import { ensureDirectory, readText, replaceFile } from './file.ts';

export interface Authorised {
  readonly cluster: string;
  readonly peer: NodeId;
  readonly publicKey: string;
  /** The forced command, as words. */
  readonly command: readonly string[];
}

/** Behind the key, where sshd reads nothing: by it the line is found again. */
export const markerOf = ({ cluster, peer }: Pick<Authorised, 'cluster' | 'peer'>): string =>
  `quorate-replication:${cluster}:${peer}`;

export function authorizedLine(authorised: Authorised): string {
  const command = authorised.command.map(shellWord).join(' ');
  if (/[\0\n\r]/.test(command))
    throw new QuorateError('usage', 'the command of replication serve has a line break');
  // sshd takes \" for a quote, and every other backslash for itself.
  const escaped = command.replaceAll('"', '\\"');
  return `restrict,command="${escaped}" ${authorised.publicKey} ${markerOf(authorised)}`;
}

/** sshd gives the command to the user's shell. */
const shellWord = (word: string): string =>
  /^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The whole text with that line, and no other of the same marker. */
export function withAuthorized(text: string | null, authorised: Authorised): string {
  const line = authorizedLine(authorised);
  const marker = markerOf(authorised);
  const lines = (text ?? '').split('\n');
  const isOurs = (one: string): boolean => !one.startsWith('#') && one.trimEnd().split(' ').at(-1) === marker;
  const ours = lines.filter(isOurs);
  if (ours.length === 1 && ours[0] === line) return text ?? '';
  const first = lines.findIndex(isOurs);
  if (first < 0) {
    const before = text ?? '';
    return `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${line}\n`;
  }
  return lines.flatMap((one, at) => (at === first ? [line] : isOurs(one) ? [] : [one])).join('\n');
}

export interface AuthorizedFile {
  readonly path: string;
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** Where sshd looks for the keys of the channel's user. Throws `usage` where there is no such user. */
export async function authorizedFile({
  user,
  authorizedKeys,
}: Pick<SshChannelConfig, 'user' | 'authorizedKeys'>): Promise<AuthorizedFile> {
  const found = accountOf((await readText('/etc/passwd')) ?? '', user);
  if (found === null)
    throw new QuorateError('usage', `/etc/passwd has no user ${user} with a home (replication.channel.user)`);
  const { home, ...owner } = found;
  return { path: authorizedKeys ?? fileIn(home), owner };
}

/** Likewise by the text of /etc/passwd; null where there is no such user. */
export function authorizedPath(
  passwd: string,
  { user, authorizedKeys }: Pick<SshChannelConfig, 'user' | 'authorizedKeys'>,
): string | null {
  const found = accountOf(passwd, user);
  return found === null ? null : (authorizedKeys ?? fileIn(found.home));
}

const fileIn = (home: string): string => join(home, '.ssh', 'authorized_keys');

function accountOf(passwd: string, user: string) {
  const line = passwd.split('\n').find((one) => one.startsWith(`${user}:`));
  const [, , uid = '', gid = '', , home = ''] = line?.split(':') ?? [];
  if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid) || !home.startsWith('/')) return null;
  return { uid: Number(uid), gid: Number(gid), home };
}

/** Resolves with whether it had to be written. */
export async function authorize(file: AuthorizedFile, authorised: Authorised): Promise<boolean> {
  const before = await readText(file.path);
  const text = withAuthorized(before, authorised);
  if (text === before) return false;
  await ensureDirectory(dirname(file.path), 0o700, file.owner);
  await replaceFile(file.path, { before, text, mode: 0o600, owner: file.owner });
  return true;
}
