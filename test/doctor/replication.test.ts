/** The channel of the replication, as the doctor sees it on captured files. */
import { expect, it } from 'vitest';
import type { Config, SshChannelConfig } from '../../src/config/index.ts';
import { nodeId } from '../../src/core/index.ts';
import { replicationCheck } from '../../src/doctor/replication.ts';
import { sshArguments, sshPaths } from '../../src/replication/channels/index.ts';
import { brief, configOf, contextOf, one } from './support.ts';

const HOSTS = { [nodeId('a')]: '10.0.1.10', [nodeId('b')]: '10.0.2.10' };
const SSH: SshChannelConfig = {
  ...{ kind: 'ssh', user: 'root', port: 22, hosts: HOSTS },
  ...{ authorizedKeys: null, hostKeys: null, command: null },
};

function configWith(channel: NonNullable<Config['replication']>['channel']): Config {
  return { ...configOf(), replication: { pools: ['tank'], include: [], exclude: [], channel, send: null } };
}

const config = configWith(SSH);
const paths = sshPaths(config.dataDir);
const PASSWD = 'root:x:0:0:root:/root:/bin/bash\n';
const PAIRED = {
  '/etc/passwd': PASSWD,
  [paths.key]: 'secret',
  [paths.knownHosts]: `quorate-${config.cluster}-b ssh-ed25519 AAAA\n`,
  '/root/.ssh/authorized_keys': `restrict,command="x" ssh-ed25519 AAAA quorate-replication:${config.cluster}:b\n`,
};

it('is skipped where there is no channel', async () => {
  expect(brief(await replicationCheck.run(contextOf({}, { config: configWith(null) })))).toEqual([
    'skipped channel',
  ]);
});

it('unpaired: names each thing that is missing, and tries nothing', async () => {
  const found = await replicationCheck.run(contextOf({ files: { '/etc/passwd': PASSWD } }, { config }));
  expect(brief(found)).toEqual([
    'failed key',
    'failed host keys of b',
    'failed key of b',
    'skipped ssh to b',
  ]);
  expect(one(found, 'key').remedy).toMatch(/replication pair/);
});

it('paired: asks the other side, and believes nothing but its answer', async () => {
  const question = Buffer.from(JSON.stringify({ cluster: config.cluster, from: 'a', to: 'b' })).toString(
    'base64url',
  );
  const target = { cluster: config.cluster, to: nodeId('b'), channel: SSH, paths };
  const line = ['ssh', ...sshArguments(target, `quorate-replication/1 probe ${question}`)].join(' ');
  const run = async (answer: string) =>
    one(
      await replicationCheck.run(contextOf({ files: PAIRED, commands: { [line]: answer } }, { config })),
      'ssh to b',
    );
  expect(await run('{"kind":"probed","node":"b","version":"0.1.0"}\n')).toMatchObject({ result: 'ok' });
  expect(await run('{"kind":"failed","isRefused":true,"why":"another version"}\n')).toMatchObject({
    result: 'failed',
    detail: 'another version',
  });
  expect(await run('Welcome!\n')).toMatchObject({ result: 'failed' });
  const missing = await replicationCheck.run(contextOf({ files: PAIRED }, { config }));
  expect(one(missing, 'ssh to b')).toMatchObject({ result: 'failed', remedy: 'Install openssh-client.' });
});

it('gRPC: the receiver of the other node must show the certificate of that node', async () => {
  const grpc = configWith({ kind: 'grpc', port: 7405, hosts: HOSTS });
  const seen = async (identity: string | null) => {
    const parts = contextOf({}, { config: grpc });
    const network = { ...parts.network, certificateOf: async () => ({ validToMs: 0, identity }) };
    return one(await replicationCheck.run({ ...parts, network }), 'receiver of b').result;
  };
  expect(await seen(`quorate://${grpc.cluster}/b`)).toBe('ok');
  expect(await seen(`quorate://${grpc.cluster}/a`)).toBe('failed');
  expect(await seen(null)).toBe('failed');
});
