/** What pairing writes: keys, and the one line of ours in a file of somebody else's. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeId } from '../../../src/core/index.ts';
import { sshPaths } from '../../../src/replication/channels/index.ts';
import {
  authorize,
  authorizedLine,
  withAuthorized,
} from '../../../src/replication/channels/pairing/authorized-keys.ts';
import { ensureKey, readPublicKey } from '../../../src/replication/channels/pairing/keys.ts';
import { publicKey } from '../../../src/replication/channels/pairing/public-keys.ts';
import { commandOf, parseCommand } from '../../../src/replication/channels/protocol.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-pairing-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const OURS = {
  cluster: 'nas',
  peer: nodeId('b'),
  publicKey: KEY,
  command: ['/usr/bin/quorate', 'replication', 'serve', '--config', '/etc/it\'s here/q "1".yaml'],
};

describe('authorized_keys', () => {
  const line = authorizedLine(OURS);

  it.each([
    ['no file', null, `${line}\n`],
    ['an empty file', '', `${line}\n`],
    ['lines of others', '# a\nssh-rsa AAAA me\n', `# a\nssh-rsa AAAA me\n${line}\n`],
    ['a last line without an end', 'ssh-rsa AAAA me', `ssh-rsa AAAA me\n${line}\n`],
    ['lines with carriage returns', 'ssh-rsa AAAA me\r\n', `ssh-rsa AAAA me\r\n${line}\n`],
    ['the same line', `x\n${line}\ny\n`, `x\n${line}\ny\n`],
    ['an older line of ours', 'x\nrestrict AAAA quorate-replication:nas:b\ny\n', `x\n${line}\ny\n`],
    ['two of ours', `${line}\nx\n${line}\n`, `${line}\nx\n`],
    ['another node of ours', `k quorate-replication:nas:c\n`, `k quorate-replication:nas:c\n${line}\n`],
    [
      'one that is commented out',
      `# k quorate-replication:nas:b\n`,
      `# k quorate-replication:nas:b\n${line}\n`,
    ],
  ])('%s', (_what, before, after) => {
    expect(withAuthorized(before, OURS)).toBe(after);
    expect(withAuthorized(after, OURS)).toBe(after);
  });

  it('the forced command comes through sshd and a shell as it was', () => {
    const quoted = /command="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? '';
    const command = quoted.replaceAll('\\"', '"');
    const said = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' });
    expect(said.trimEnd().split('\n')).toEqual(OURS.command);
    expect(() => authorizedLine({ ...OURS, command: ['a\nssh-rsa AAAA'] })).toThrow(/line break/);
  });

  it('keeps mode, owner and link of the file, and leaves nothing beside it', async () => {
    const [real, path] = [join(directory, 'real'), join(directory, 'authorized_keys')];
    writeFileSync(real, 'x\n');
    chmodSync(real, 0o640);
    symlinkSync(real, path);
    const { uid, gid } = statSync(real);
    const file = { path, owner: { uid: uid + 1, gid: gid + 1 } };
    expect(await authorize(file, OURS)).toBe(true);
    expect(await authorize(file, OURS)).toBe(false);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(statSync(real)).toMatchObject({ mode: 0o100640, uid, gid });
    expect(readFileSync(real, 'utf8')).toBe(`x\n${line}\n`);
    expect(readdirSync(directory).toSorted()).toEqual(['authorized_keys', 'real']);
  });
});

describe('keys', () => {
  it('are made once, and never over another one', async () => {
    const paths = sshPaths(directory);
    expect(await readPublicKey(paths)).toBeNull();
    const made = await Promise.all([ensureKey(paths, 'one'), ensureKey(paths, 'two')]);
    expect(new Set(made).size).toBe(1);
    expect(await ensureKey(paths, 'three')).toBe(made[0]);
    expect(readdirSync(paths.directory).toSorted()).toEqual(['ssh_key', 'ssh_key.pub']);
  });

  it('of others, or that others may read, are not used', async () => {
    const paths = sshPaths(directory);
    await ensureKey(paths, 'one');
    chmodSync(paths.key, 0o644);
    await expect(readPublicKey(paths)).rejects.toMatchObject({ code: 'replication-unpaired' });
    writeFileSync(paths.key, 'something else\n');
    chmodSync(paths.key, 0o600);
    await expect(ensureKey(paths, 'one')).rejects.toThrow(/no key of ours/);
  });

  it.each([
    ['another type in front', KEY.replace('ssh-ed25519', 'ssh-rsa')],
    ['a type that is none', 'ssh-ed25519-cert AAAA'],
    ['options in front', `command="sh" ${KEY}`],
    ['two lines', `${KEY}\n${KEY}`],
    ['nothing', ''],
    ['base64 that is not canonical', `${KEY}=`],
  ])('%s: is no public key', (_what, text) => {
    expect(publicKey(text)).toBeNull();
  });

  it('lose their comment', () => expect(publicKey(`${KEY} root@a\n`)).toBe(KEY));
});

describe('the command line', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), (from, order) => {
        const question = { cluster: 'nas', from, to: 'b', order };
        const { verb, json } = parseCommand(commandOf('perform', question));
        expect([verb, JSON.parse(json)]).toEqual(['perform', JSON.parse(JSON.stringify(question))]);
      }),
    );
  });

  it('of anybody else is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(() => parseCommand(text)).toThrow(expect.objectContaining({ code: 'replication-refused' }));
      }),
    );
    expect(() => parseCommand(`${commandOf('probe', { cluster: 'c', from: 'a', to: 'b' })}\n`)).toThrow();
  });
});
