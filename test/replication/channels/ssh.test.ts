/**
 * The channel over SSH, by real ssh and real sshd: two nodes on 127.0.1.1 and 127.0.1.2 that `pair` has authorised for each
 * other. Without sshd (Debian: openssh-server) all of it is skipped.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pairWith } from '../../../src/agent/pairing.ts';
import { pair } from '../../../src/cli/replication-pair.ts';
import { epoch, nodeId } from '../../../src/core/index.ts';
import { PeerTransport } from '../../../src/peer/index.ts';
import type { ReceiveEnd, Receiving } from '../../../src/replication/channel.ts';
import {
  commandOf,
  openSshChannel,
  type SshChannel,
  spawnInto,
} from '../../../src/replication/channels/index.ts';
import { registered } from '../../../src/replication/receiver/index.ts';
import { testTls } from '../../support/pki.ts';
import { addressOf, CLUSTER, program, startHost, type TestHost, userName } from '../support/hosts.ts';
import { CuttingProxy, freePort, makeHostKey, SSHD, startSshd, type TestSshd } from '../support/sshd.ts';
import { makeStream, named, type TestStream } from '../support/streams.ts';

const script = fileURLToPath(new URL('../../../scripts/quorate', import.meta.url));
const { signal } = new AbortController();
const limits = { signal, limitMs: 20_000 };
const EPOCH = epoch(7);
let a: TestHost;
let b: TestHost;
let port = 0;
let daemons: TestSshd[] = [];
let channel: SshChannel;
let guids = 100;

const yaml = (directory: string, bin: string): string =>
  JSON.stringify({
    kind: 'ssh',
    user: userName(),
    port,
    hosts: { a: addressOf('a'), b: addressOf('b') },
    authorized_keys: join(directory, 'authorized_keys'),
    host_keys: [join(directory, 'ssh_host_ed25519_key.pub')],
    command: ['/usr/bin/env', `PATH=${bin}:${process.env.PATH}`, process.execPath, program],
  });

async function nothingReceived({ config }: TestHost): Promise<void> {
  const end = performance.now() + 10_000;
  while ((await registered(config.dataDir)).length > 0) {
    if (performance.now() > end) throw new Error('a receive has not ended within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const pairBoth = (options: { dryRun?: boolean } = {}, say: (line: string) => void = () => {}) =>
  pair(
    a.config,
    { ...options, yes: true },
    {
      // The other node's agent, without the wire between (test/peer has that).
      askPeer: (_config, peer, offer) =>
        pairWith((peer === 'b' ? b : a).config, nodeId('a'), offer, { warn: () => {} }),
      confirm: () => Promise.resolve(false),
      command: ['/no/such/quorate'],
    },
    say,
  );

describe.skipIf(SSHD === null)('over SSH', () => {
  beforeAll(async () => {
    await promisify(execFile)(script, ['--version']);
    port = await freePort('127.0.1.1');
    [a, b] = await Promise.all([
      startHost({ node: 'a', channel: yaml }),
      startHost({ node: 'b', channel: yaml }),
    ]);
    for (const host of [a, b]) {
      makeHostKey(host.directory);
      daemons.push(await startSshd(host.directory, addressOf(host.node), port));
    }
    writeFileSync(join(b.directory, 'authorized_keys'), FOREIGN);
    await pairBoth();
    channel = await openSshChannel(a.config);
  }, 120_000);
  afterAll(async () => {
    await channel?.close();
    for (const daemon of daemons) await daemon.close();
    await Promise.all([a?.close(), b?.close()]);
  });
  beforeEach(() => {
    for (const host of [a, b]) {
      host.known = {
        mayHold: false,
        tenure: { epoch: 7, node: host.node === 'a' ? 'b' : 'a', isReleased: false },
      };
      for (const name of ['slow', 'full'] as const) host.set(name, null);
    }
  });

  const FOREIGN =
    '# of somebody else\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@home';

  const fresh = (dataset: string, bytes = 300_000): TestStream =>
    makeStream(a.directory, named(dataset, 's1', guids++), { bytes });

  /** Sends the file by a child that knows nothing of Node. */
  async function send(stream: TestStream, by: SshChannel = channel): Promise<ReceiveEnd> {
    const receiving = await by.receive(EPOCH, stream.order, limits);
    spawnInto(receiving, ['cat', stream.file]);
    return receiving.ended;
  }

  describe('pair', () => {
    it('shows, writes nothing on a dry run, writes once, and tries both directions', async () => {
      const said: string[] = [];
      await pairBoth({}, (line) => said.push(line));
      expect(said).toEqual([
        'a: all is as it should be',
        'b: all is as it should be',
        expect.stringMatching(/^a to b: works/),
        expect.stringMatching(/^b to a: works/),
      ]);
      const other = await startHost({ node: 'a', channel: yaml });
      makeHostKey(other.directory);
      const plan: string[] = [];
      await pair(
        other.config,
        { dryRun: true },
        {
          askPeer: (_config, _peer, offer) => pairWith(b.config, nodeId('a'), offer, { warn: () => {} }),
          confirm: () => Promise.resolve(false),
          command: ['/no/such/quorate'],
        },
        (line) => plan.push(line),
      );
      expect(plan.join('\n')).toMatch(/a: makes a key of its own.*\n.*pins the host keys of b.*SHA256:/);
      expect(plan.join('\n')).toMatch(/b: pins the host keys of a/);
      expect(plan.at(-1)).toBe('Nothing was written.');
      expect(() => statSync(join(other.directory, 'authorized_keys'))).toThrow(/ENOENT/);
      await other.close();
    });

    it('leaves every other line alone, and gives the key nothing but the forced command', () => {
      const lines = readFileSync(join(b.directory, 'authorized_keys'), 'utf8').split('\n');
      expect(lines.slice(0, 2).join('\n')).toBe(FOREIGN);
      expect(lines).toHaveLength(4);
      expect(lines[2]).toMatch(
        /^restrict,command="\/usr\/bin\/env .* replication serve --config .*q.yaml --node b --peer a" ssh-ed25519 \S+ quorate-replication:nas-test:a$/,
      );
    });

    it('its key is one that OpenSSH reads, and nobody else', () => {
      const key = join(a.config.dataDir, 'replication', 'ssh_key');
      expect(statSync(key).mode & 0o777).toBe(0o600);
      const derived = execFileSync('ssh-keygen', ['-y', '-f', key], { encoding: 'utf8' }).trim();
      expect(readFileSync(`${key}.pub`, 'utf8').trim()).toBe(derived);
    });

    it('the command itself, with the keys over the mutual TLS of the agents', async () => {
      const quiet = { info: () => {}, warn: () => {} };
      const agent = new PeerTransport({
        ...{
          self: nodeId('b'),
          cluster: CLUSTER,
          listen: '127.0.1.2:17400',
          tls: await testTls(CLUSTER, 'b'),
        },
        ...{ onMessage: () => {}, onStatement: () => {}, onBootstrap: async () => {}, onLink: () => {} },
        pair: (from, request) => pairWith(b.config, from, request, { warn: () => {} }),
        logger: quiet,
      });
      await agent.start();
      agent.setPeers(new Map([[nodeId('a'), '127.0.1.1:17400']]));
      const known = join(a.config.dataDir, 'replication', 'known_hosts');
      const pinned = readFileSync(known, 'utf8');
      rmSync(known);
      try {
        const words = ['replication', 'pair', '--config', a.config.file, '--yes'];
        const { stdout } = await promisify(execFile)(process.execPath, [program, ...words]);
        expect(stdout.split('\n')).toEqual([
          expect.stringMatching(/^a: pins the host keys of b in .*known_hosts: SHA256:/),
          'b: all is as it should be',
          'Written.',
          expect.stringMatching(/^a to b: works/),
          expect.stringMatching(/^b to a: works/),
          '',
        ]);
        expect(readFileSync(known, 'utf8')).toContain(hostKeyText(b));
      } finally {
        writeFileSync(known, pinned, { mode: 0o600 });
        await agent.close();
      }
    });

    it('asks before it writes', async () => {
      const other = await startHost({ node: 'a', channel: yaml });
      makeHostKey(other.directory);
      let asked = '';
      const questions = {
        askPeer: () => Promise.resolve({ publicKey: '', hostKeys: [hostKeyText(b)], changes: [] }),
        confirm: (question: string) => {
          asked = question;
          return Promise.resolve(false);
        },
        command: ['/no/such/quorate'],
      };
      await expect(pair(other.config, {}, questions, () => {})).rejects.toThrow(/nothing was written/);
      expect(asked).toBe('Write this on a and b?');
      expect(() => statSync(join(other.config.dataDir, 'replication'))).toThrow(/ENOENT/);
      await other.close();
    });
  });

  const hostKeyText = (host: TestHost): string =>
    readFileSync(join(host.directory, 'ssh_host_ed25519_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ');

  /** Two snapshots in one stream, after one that is there. */
  async function sendRun(): Promise<void> {
    const [first, second] = [named('tank/run', 's1', guids++), named('tank/run', 's2', guids++)];
    const third = named('tank/run', 's3', guids++);
    expect(await send(makeStream(a.directory, first, { bytes: 1000 }))).toEqual({ kind: 'received' });
    const streams = [
      makeStream(a.directory, second, { from: first.guid, bytes: 1000 }),
      makeStream(a.directory, third, { from: second.guid, bytes: 1000 }),
    ];
    const file = join(a.directory, 'run');
    writeFileSync(file, Buffer.concat(streams.map((one) => readFileSync(one.file))));
    const order = { dataset: 'tank/run', snapshot: third, kind: 'incremental' } as const;
    const run = { file, order: { ...order, before: [second], letGo: [first] }, payload: Buffer.alloc(0) };
    expect(await send(run)).toEqual({ kind: 'received' });
    const holds = b.datasets()['tank/run']?.snapshots.map((one) => [one.name, one.holds.length]);
    expect(holds).toEqual([
      ['s1', 0],
      ['s2', 0],
      ['s3', 1],
    ]);
  }

  it('takes a run, held by the receive itself', async () => {
    await channel.read(limits);
    expect([...channel.features]).toEqual(['runs', 'settles', 'replays', 'left-out']);
    await sendRun();
  });

  it('reads, receives, holds, prunes', async () => {
    expect(await channel.read(limits)).toMatchObject({ pools: [{ name: 'tank' }] });
    const stream = fresh('tank/home');
    expect(await send(stream)).toEqual({ kind: 'received' });
    expect(b.data(stream.order.snapshot.guid).equals(stream.payload)).toBe(true);
    await channel.perform(EPOCH, { kind: 'hold', keep: stream.order.snapshot, letGo: [] }, limits);
    expect(b.datasets()['tank/home']?.snapshots[0]?.holds).toHaveLength(1);
    // In parts: more than one order may have.
    const gone = Array.from({ length: 150 }, (_, at) => named('tank/home', `gone${at}`, 9000 + at));
    await channel.perform(EPOCH, { kind: 'prune', snapshots: gone }, limits);
    await expect(
      channel.perform(EPOCH, { kind: 'prune', snapshots: [stream.order.snapshot] }, limits),
    ).rejects.toMatchObject({
      code: 'replication-refused',
      message: expect.stringMatching(/b refuses: .* is held/),
    });
  });

  it('H2: a stale epoch and a holder are refused before the stream begins', async () => {
    const stream = fresh('tank/stale');
    b.known = { mayHold: false, tenure: { epoch: 9, node: 'a', isReleased: false } };
    await expect(channel.receive(EPOCH, stream.order, limits)).rejects.toMatchObject({
      code: 'replication-refused',
    });
    b.known = { mayHold: true, tenure: null };
    await expect(channel.receive(EPOCH, stream.order, limits)).rejects.toThrow(/b holds/);
    b.known = null;
    await expect(channel.perform(EPOCH, { kind: 'abandon', dataset: 'tank/x' }, limits)).rejects.toThrow(
      /not known/,
    );
    expect(b.datasets()['tank/stale']).toBeUndefined();
  });

  it('the other direction', async () => {
    const back = await openSshChannel(b.config);
    const stream = makeStream(b.directory, named('tank/back', 's1', guids++));
    expect(await send(stream, back)).toEqual({ kind: 'received' });
    expect(a.datasets()['tank/back']?.snapshots).toHaveLength(1);
    await back.close();
  });

  it('no byte of a stream passes Node: the child goes on while this process stands still', async () => {
    const stream = fresh('tank/direct', 40_000_000);
    const receiving = await channel.receive(EPOCH, stream.order, limits);
    const { sink } = receiving as Receiving & { sink: { bytesWritten: number } };
    spawnInto(receiving, ['cat', stream.file]);
    const size = (): number => {
      try {
        return statSync(join(b.directory, 'zfs', `data-${stream.order.snapshot.guid}`)).size;
      } catch {
        return 0;
      }
    };
    // Not a turn of the event loop from here on.
    const end = performance.now() + 15_000;
    const nap = new Int32Array(new SharedArrayBuffer(4));
    while (size() < stream.payload.length && performance.now() < end) Atomics.wait(nap, 0, 0, 20);
    expect(size()).toBe(stream.payload.length);
    expect(sink.bytesWritten).toBe(0);
    expect(await receiving.ended).toEqual({ kind: 'received' });
  });

  it('a full pool, and a source that dies, end the stream with their code', async () => {
    b.set('full', '');
    expect(await send(fresh('tank/full'))).toMatchObject({ kind: 'broken', code: 'full' });
    b.set('full', null);
    const stream = fresh('tank/dies');
    const receiving = await channel.receive(EPOCH, stream.order, limits);
    spawnInto(receiving, ['head', '-c', '150000', stream.file]);
    expect(await receiving.ended).toMatchObject({ kind: 'broken', code: 'stream' });
    expect(b.datasets()['tank/dies']?.partial?.bytes).toBeGreaterThan(100_000);
  });

  it('gives up: at this side, by the signal, at its limit', async () => {
    const receiving = await channel.receive(EPOCH, fresh('tank/gives-up').order, limits);
    receiving.abort();
    expect(await receiving.ended).toMatchObject({ kind: 'broken', code: 'aborted' });
    const over = new AbortController();
    over.abort();
    await expect(channel.read({ ...limits, signal: over.signal })).rejects.toThrow(/given up/);
    await expect(channel.read({ ...limits, limitMs: 1 })).rejects.toMatchObject({ code: 'peer-unreachable' });
    await expect(
      channel.perform(EPOCH, { kind: 'abandon', dataset: 'tank/x' }, { ...limits, limitMs: 1 }),
    ).rejects.toMatchObject({ code: 'timed-out-unknown' });
  });

  it('a takeover of the receiver ends the stream', async () => {
    const receiving = await channel.receive(EPOCH, fresh('tank/ends').order, limits);
    b.known = { mayHold: true, tenure: null };
    expect(await receiving.ended).toMatchObject({
      kind: 'broken',
      code: 'refused',
      why: expect.stringMatching(/b holds/),
    });
  });

  it('cut at any byte, it goes on where it broke off, and arrives whole', async () => {
    const proxyPort = await freePort('127.0.1.4');
    const proxy = new CuttingProxy({ host: addressOf('b'), port });
    await proxy.listen('127.0.1.4', proxyPort);
    const ssh = a.config.replication?.channel;
    if (ssh?.kind !== 'ssh' || a.config.replication === null) throw new Error('no ssh');
    const through = await openSshChannel({
      ...a.config,
      replication: {
        ...a.config.replication,
        channel: { ...ssh, port: proxyPort, hosts: { ...ssh.hosts, [nodeId('b')]: '127.0.1.4' } },
      },
    });
    const whole = fresh('tank/cut', 2_000_000);
    const { snapshot } = whole.order;
    let cuts = 0;
    for (let attempt = 0; attempt < 12; attempt++) {
      // What it was receiving keeps what has arrived when it sees the end; a sender that is quicker has its order refused.
      await nothingReceived(b);
      const partial = b.datasets()['tank/cut']?.partial ?? null;
      const offset = partial?.bytes ?? 0;
      // In the handshake, in the question, in the stream.
      const seed = (attempt * 2_654_435_761) % 1_000_003;
      proxy.cutAfterBytes =
        attempt >= 8 ? null : 1 + (attempt % 2 === 0 ? seed % 6_000 : 5_000 + (seed % 700_000));
      const stream = makeStream(a.directory, snapshot, { payload: whole.payload, offset });
      const end = await send(stream, through).catch((error: unknown) => error as Error);
      if ('kind' in end && end.kind === 'received') break;
      cuts += 1;
      if (!('kind' in end)) expect(end).toMatchObject({ code: 'peer-unreachable' });
      else expect(end).toMatchObject({ kind: 'broken', code: 'connection' });
    }
    expect(cuts).toBeGreaterThan(4);
    expect(b.datasets()['tank/cut']?.snapshots.map(({ guid }) => guid)).toEqual([snapshot.guid]);
    expect(b.data(snapshot.guid).equals(whole.payload)).toBe(true);
    await through.close();
    await proxy.close();
  }, 120_000);

  it('what answers with another host key is not spoken to', async () => {
    await daemons[1]?.close();
    const impostor = await startSshd(
      b.directory,
      addressOf('b'),
      port,
      join(a.directory, 'ssh_host_ed25519_key'),
    );
    try {
      await expect(channel.probe(limits)).rejects.toMatchObject({ code: 'replication-unpaired' });
      const { order } = fresh('tank/impostor');
      await expect(channel.receive(EPOCH, order, limits)).rejects.toThrow(
        /not the sshd whose host key is pinned/,
      );
      expect(impostor.log()).not.toMatch(/Accepted/);
    } finally {
      await impostor.close();
      daemons = [daemons[0] as TestSshd, await startSshd(b.directory, addressOf('b'), port)];
    }
    await channel.probe(limits);
  });

  describe('the forced command', () => {
    /** As somebody who has stolen the key. */
    const ssh = async (words: readonly string[], options: readonly string[] = []) => {
      const { key, knownHosts } = {
        key: join(a.config.dataDir, 'replication', 'ssh_key'),
        knownHosts: join(a.config.dataDir, 'replication', 'known_hosts'),
      };
      const child = spawn(
        'ssh',
        [
          ...['-F', '/dev/null', '-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${knownHosts}`],
          ...['-o', `HostKeyAlias=quorate-${CLUSTER}-b`, '-i', key, '-o', 'IdentitiesOnly=yes'],
          ...['-p', String(port), '-l', userName(), ...options, addressOf('b'), ...words],
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let out = '';
      let err = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        out += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text) => {
        err += text;
      });
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      return { code, out, err };
    };
    const proof = () => join(b.directory, 'proof');
    const question = { cluster: CLUSTER, from: 'a', to: 'b' };
    const good = commandOf('probe', question);

    const HOSTILE: readonly (readonly [string, () => string])[] = [
      ['a shell', () => ''],
      ['a command', () => `touch ${proof()}`],
      ['one behind a good one', () => `${good}; touch ${proof()}`],
      ['one in a good one', () => `${good} $(touch ${proof()})`],
      ['one in backquotes', () => `quorate-replication/1 probe \`touch ${proof()}\``],
      ['one behind a line break', () => `${good}\ntouch ${proof()}`],
      ['one behind a pipe', () => `${good} | touch ${proof()}`],
      ['an option of the program', () => `${good} --config /tmp/evil.yaml`],
      ['another command of the program', () => 'quorate-replication/1 pair e30'],
      ['another version', () => 'quorate-replication/2 probe e30'],
      ['an own binary', () => '/bin/sh -c id'],
      ['internal-sftp', () => 'internal-sftp'],
      ['scp', () => `scp -t ${b.directory}`],
      ['no JSON', () => 'quorate-replication/1 probe AAAA'],
      ['a question of another node', () => commandOf('probe', { ...question, from: 'c' })],
      ['a question to another node', () => commandOf('probe', { ...question, to: 'a' })],
      ['a question of another cluster', () => commandOf('probe', { ...question, cluster: 'other' })],
      [
        'an unknown field',
        () =>
          `quorate-replication/1 probe ${Buffer.from(JSON.stringify({ ...question, shell: 'sh' })).toString('base64url')}`,
      ],
      [
        'a dataset that is a command',
        () =>
          commandOf('perform', {
            ...question,
            epoch: 7,
            order: { kind: 'abandon', dataset: `tank/$(touch ${proof()})` },
          }),
      ],
      [
        'an order for another pool',
        () =>
          commandOf('perform', {
            ...question,
            epoch: 7,
            order: { kind: 'prune', snapshots: [named('rpool/root', 's', 1)] },
          }),
      ],
      [
        'an order that there is not',
        () =>
          commandOf('perform', { ...question, epoch: 7, order: { kind: 'destroy', dataset: 'tank/home' } }),
      ],
    ];

    it('refuses everything else, and does nothing for it', async () => {
      const before = b.calls().length;
      for (let at = 0; at < HOSTILE.length; at += AT_A_TIME)
        await Promise.all(
          HOSTILE.slice(at, at + AT_A_TIME).map(async ([what, command]) => {
            const words = command();
            const { code, out } = await ssh(words === '' ? [] : [words]);
            expect([what, code]).toEqual([what, 1]);
            expect([what, JSON.parse(out)]).toMatchObject([what, { kind: 'failed', isRefused: true }]);
          }),
        );
      expect(() => statSync(proof())).toThrow(/ENOENT/);
      expect(b.calls().length).toBe(before);
    }, 120_000);
    const AT_A_TIME = 4;

    it('no forwarding, no terminal, no subsystem', async () => {
      const forwarded = await ssh([good], ['-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1']);
      expect(forwarded.err).toMatch(/forwarding failed|administratively prohibited/i);
      expect((await ssh([good], ['-tt'])).err).toMatch(/PTY allocation request failed/);
      expect((await ssh(['sftp'], ['-s'])).out).not.toMatch(/sftp/);
      expect(JSON.parse((await ssh([good])).out)).toMatchObject({ kind: 'probed', node: 'b' });
    });
  });

  it('a second stream for a dataset is refused here; what is left over there is replaced', async () => {
    const stream = fresh('tank/twice');
    const first = await channel.receive(EPOCH, stream.order, limits);
    await expect(channel.receive(EPOCH, stream.order, limits)).rejects.toThrow(/under way already/);
    // As after a restart of the sender: another channel knows nothing of the first one's stream.
    const other = await openSshChannel(a.config);
    expect(await send(stream, other)).toEqual({ kind: 'received' });
    expect(await first.ended).toMatchObject({ kind: 'broken' });
    await other.close();
    await nothingReceived(b);
  });
});
