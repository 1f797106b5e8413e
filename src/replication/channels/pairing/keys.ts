/**
 * The key that this node's replication logs in with: ed25519, its own, never another's. It is made here and not by `ssh-keygen`
 * because the agent, which starts no children, makes it when the other node pairs. The format is OpenSSH's (PROTOCOL.key).
 */
import { generateKeyPair, randomBytes } from 'node:crypto';
import { link, rm, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { QuorateError } from '../../../errors.ts';
import type { SshPaths } from '../paths.ts';
import { ensureDirectory, readText, replaceFile } from './file.ts';

const TYPE = 'ssh-ed25519';
const MAGIC = 'openssh-key-v1\0';
const LINE = 70;
const BLOCK = 8;
const PEM = /^-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END OPENSSH PRIVATE KEY-----\n$/;

/** "ssh-ed25519 AAAA…", without a comment; null where there is no key yet. Throws where there is one that cannot be used. */
export async function readPublicKey(paths: SshPaths): Promise<string | null> {
  const text = await readText(paths.key);
  if (text === null) return null;
  const { mode } = await stat(paths.key);
  if ((mode & 0o077) !== 0)
    throw new QuorateError(
      'replication-unpaired',
      `${paths.key} may be read by others: chmod 600, or remove it and pair again`,
    );
  const key = publicPartOf(text);
  if (key === null)
    throw new QuorateError(
      'replication-unpaired',
      `${paths.key} holds no key of ours: remove it and pair again`,
    );
  return key;
}

/** Makes the key where there is none. */
export async function ensureKey(paths: SshPaths, comment: string): Promise<string> {
  const there = await readPublicKey(paths);
  if (there !== null) return there;
  await ensureDirectory(paths.directory, 0o700);
  const { privateText, publicText } = await makeKey(comment);
  const aside = `${paths.key}.${randomBytes(6).toString('hex')}.new`;
  await replaceFile(aside, { before: null, text: privateText, mode: 0o600 });
  try {
    // Not over one that somebody else has made at the same time: its other half may be authorised by now.
    await link(aside, paths.key);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const other = await readPublicKey(paths);
    if (other !== null) return other;
  } finally {
    await rm(aside, { force: true });
  }
  await replaceFile(paths.publicKey, {
    before: await readText(paths.publicKey),
    text: `${publicText} ${comment}\n`,
    mode: 0o644,
  });
  return publicText;
}

export async function makeKey(
  comment: string,
): Promise<{ readonly privateText: string; readonly publicText: string }> {
  const { privateKey } = await promisify(generateKeyPair)('ed25519');
  const { x = '', d = '' } = privateKey.export({ format: 'jwk' });
  const [publicPart, secret] = [Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')];
  const blob = Buffer.concat([field(TYPE), field(publicPart)]);
  const check = randomBytes(4);
  const list = Buffer.concat([
    ...[check, check, field(TYPE), field(publicPart)],
    ...[field(Buffer.concat([secret, publicPart])), field(comment)],
  ]);
  const padding = Buffer.from(
    Array.from({ length: (BLOCK - (list.length % BLOCK)) % BLOCK }, (_, at) => at + 1),
  );
  const none = [field('none'), field('none'), field('')];
  const whole = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    ...none,
    number(1),
    field(blob),
    field(Buffer.concat([list, padding])),
  ]).toString('base64');
  const lines = whole.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return {
    privateText: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicText: `${TYPE} ${blob.toString('base64')}`,
  };
}

/** Of a key without a passphrase, as `makeKey` writes it; null for anything else. */
function publicPartOf(text: string): string | null {
  const bytes = Buffer.from((PEM.exec(text)?.[1] ?? '').replaceAll('\n', ''), 'base64');
  const head = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    field('none'),
    field('none'),
    field(''),
    number(1),
  ]);
  if (!bytes.subarray(0, head.length).equals(head) || bytes.length < head.length + 4) return null;
  const start = head.length + 4;
  const blob = bytes.subarray(start, start + bytes.readUInt32BE(head.length));
  const prefix = field(TYPE);
  return blob.length === prefix.length + 4 + 32 && blob.subarray(0, prefix.length).equals(prefix)
    ? `${TYPE} ${blob.toString('base64')}`
    : null;
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([number(bytes.length), bytes]);
}
