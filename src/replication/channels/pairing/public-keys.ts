/** Public keys as texts: what another node says is one must be one before it goes into a file that sshd or ssh reads. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SshChannelConfig } from '../../../config/index.ts';
import { QuorateError } from '../../../errors.ts';
import { readText } from './file.ts';

const MAX_CHARACTERS = 4096;
export const MAX_HOST_KEYS = 8;
const TYPES = [
  ...['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'],
] as const;
const HOST_KEY_DIRECTORY = '/etc/ssh';
const HOST_KEY_FILE = /^ssh_host_[a-z0-9]+_key\.pub$/;

/** "TYPE BASE64" without the comment; null where it is no public key. */
export function publicKey(text: string): string | null {
  if (text.length > MAX_CHARACTERS) return null;
  const [, type = '', base64 = ''] =
    /^([a-z0-9-]+) ([A-Za-z0-9+/]+={0,2})(?: [ -~]*)?$/.exec(text.trim()) ?? [];
  if (!(TYPES as readonly string[]).includes(type)) return null;
  const blob = Buffer.from(base64, 'base64');
  const said = blob.length < 4 ? '' : blob.toString('latin1', 4, 4 + blob.readUInt32BE(0));
  return said === type && blob.toString('base64') === base64 ? `${type} ${base64}` : null;
}

/** As `ssh-keygen -l` prints it, for people. */
export function fingerprint(key: string): string {
  const [type = '', base64 = ''] = key.split(' ');
  const hash = createHash('sha256').update(Buffer.from(base64, 'base64')).digest('base64').replace(/=+$/, '');
  return `SHA256:${hash} (${type})`;
}

/** Of this node's sshd, from its files: nothing is asked of the network. Throws `usage` where there is none. */
export async function ownHostKeys({
  hostKeys,
}: Pick<SshChannelConfig, 'hostKeys'>): Promise<readonly string[]> {
  const files = hostKeys ?? (await hostKeyFiles());
  const keys: string[] = [];
  for (const file of files.slice(0, MAX_HOST_KEYS)) {
    const text = await readText(file);
    const key = text === null ? null : publicKey(text);
    if (key !== null) keys.push(key);
    else if (hostKeys !== null)
      throw new QuorateError('usage', `${file} (host_keys) holds no public key of a host`);
  }
  if (keys.length === 0)
    throw new QuorateError(
      'usage',
      `no ssh_host_*_key.pub in ${HOST_KEY_DIRECTORY}: install openssh-server, or name the files in replication.channel.host_keys`,
    );
  return keys.toSorted();
}

async function hostKeyFiles(): Promise<readonly string[]> {
  const names = await readdir(HOST_KEY_DIRECTORY).catch(() => [] as string[]);
  return names
    .filter((name) => HOST_KEY_FILE.test(name))
    .toSorted()
    .map((name) => join(HOST_KEY_DIRECTORY, name));
}
