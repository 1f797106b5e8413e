/** A data node as the receiver sees it: a data directory, a config, an agent's word, and a `zfs` with its state in a file. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalSocket } from '../../../src/admin/index.ts';
import { type Config, loadConfig } from '../../../src/config/index.ts';
import { testTls } from '../../support/pki.ts';

export const CLUSTER = 'nas-test';
const standIn = fileURLToPath(new URL('./zfs-stand-in.mjs', import.meta.url));
export const program = fileURLToPath(new URL('../../../dist/quorate.mjs', import.meta.url));

export interface SnapshotState {
  readonly name: string;
  readonly guid: string;
  readonly createtxg: number;
  readonly holds: readonly string[];
  readonly isCloned?: boolean;
}
export interface DatasetState {
  readonly type: 'filesystem' | 'volume';
  /** 4711 where absent. */
  readonly guid?: string;
  readonly token: string | null;
  readonly partial: { readonly guid: string; readonly bytes: number } | null;
  /** Set here. */
  readonly properties: Readonly<Record<string, string>>;
  /** That came with a stream; void where it is set here too. */
  readonly received?: Readonly<Record<string, string>>;
  readonly inherited?: Readonly<Record<string, string>>;
  readonly snapshots: readonly SnapshotState[];
  /** Bytes since the newest of them; 0 where absent. */
  readonly written?: number;
  readonly mounted?: string;
  /** What is in its intent log alone. */
  readonly log?: string;
  /** More than ZFS's own log differs from the newest snapshot. */
  readonly isChanged?: boolean;
  /** Its key is not loaded. */
  readonly isLocked?: boolean;
}

export interface Known {
  mayHold: boolean;
  tenure: { epoch: number; node: string; isReleased: boolean } | null;
}

export interface TestHost {
  readonly node: 'a' | 'b';
  readonly directory: string;
  readonly bin: string;
  readonly config: Config;
  /** What its agent says; null: it does not answer. */
  known: Known | null;
  datasets(): Readonly<Record<string, DatasetState>>;
  setDatasets(datasets: Readonly<Record<string, DatasetState>>): void;
  /** The commands that `zfs` was called with. */
  calls(): readonly (readonly string[])[];
  /** What the snapshot of this GUID holds here. */
  data(guid: string): Buffer;
  /** Files that the stand-in looks at: "slow" (ms for each piece), "full", "stuck" (how a name ends that cannot be released). */
  set(name: 'slow' | 'full' | 'stuck', value: string | null): void;
  close(): Promise<void>;
}

export interface Place {
  readonly node: 'a' | 'b';
  /** YAML of `replication.channel`, for a host whose directory is this. */
  readonly channel: (directory: string, bin: string) => string;
}

/** 127.0.1.1 for a, 127.0.1.2 for b. */
export const addressOf = (node: string): string => (node === 'a' ? '127.0.1.1' : '127.0.1.2');

export async function startHost({ node, channel }: Place): Promise<TestHost> {
  const directory = mkdtempSync(join(tmpdir(), `quorate-${node}-`));
  const [state, bin, dataDir] = [join(directory, 'zfs'), join(directory, 'bin'), join(directory, 'data')];
  for (const path of [state, bin, dataDir]) mkdirSync(path);
  for (const name of ['zfs', 'zpool']) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${standIn}' '${state}' "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const unshare = `#!/bin/sh\nexec '${process.execPath}' '${standIn}' '${state}' unshare "$@"\n`;
  writeFileSync(join(bin, 'unshare'), unshare, { mode: 0o755 });
  const tls = await testTls(CLUSTER, node);
  for (const [name, text] of Object.entries({ 'ca.pem': tls.ca, 'n.pem': tls.cert, 'n.key': tls.key }))
    writeFileSync(join(directory, name), text);
  const file = join(directory, 'q.yaml');
  writeFileSync(
    file,
    `cluster: ${CLUSTER}
node: ${node}
data_dir: data
members:
  a: {peer: "127.0.1.1:17400"}
  b: {peer: "127.0.1.2:17400"}
  w: {peer: "127.0.1.3:17400", witness: true}
tls: {ca: ca.pem, cert: n.pem, key: n.key}
admin: {listen: "${addressOf(node)}:17401"}
watchdog: {mode: "off"}
resources: []
replication:
  pools: [tank]
  channel: ${channel(directory, bin)}
`,
  );
  const config = loadConfig(file);
  const host: { known: Known | null } = { known: { mayHold: false, tenure: null } };
  const socket = new LocalSocket(join(dataDir, 'agent.sock'), {
    fencePeer: () => Promise.reject(new Error('not here')),
    authority: () => {
      if (host.known === null) throw new Error('the agent is still starting');
      return host.known;
    },
  });
  await socket.start();
  const stateFile = join(state, 'state.json');
  return Object.assign(host, {
    ...{ node, directory, bin, config },
    datasets: () => (existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')).datasets : {}),
    setDatasets: (datasets: Readonly<Record<string, DatasetState>>) =>
      writeFileSync(stateFile, JSON.stringify({ txg: 1000, datasets })),
    calls: () =>
      existsSync(join(state, 'log'))
        ? readFileSync(join(state, 'log'), 'utf8')
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
    data: (guid: string) => readFileSync(join(state, `data-${guid}`)),
    set: (name: string, value: string | null) => {
      if (value === null) rmSync(join(state, name), { force: true });
      else writeFileSync(join(state, name), value);
    },
    close: async () => {
      await socket.close();
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

export const userName = (): string => userInfo().username;

/** Waits for a condition, not for luck. */
export async function until(what: string, holds: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
