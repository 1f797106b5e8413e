/** How commands find an agent: through a node's config file, or by address and certificate files. */
import { hostname, userInfo } from 'node:os';
import type { Command } from 'commander';
import type { AdminClient } from '../admin/index.ts';
import { type Address, formatAddress, loadConfig, parseAddress } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import type { TlsPaths } from '../peer/index.ts';

export interface ConnectionOptions {
  readonly config?: string;
  readonly node?: string | undefined;
  readonly nodeOption?: string;
  readonly address?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** `nodeOption`: where a command means something else by `--node`. */
export function withConnection(command: Command, nodeOption = '--node'): Command {
  return command
    .option('--config <file>', 'config file of a node of this host: its admin address and certificates')
    .option(`${nodeOption} <id>`, 'the node, where the config file does not say it')
    .option('--address <host:port>', 'admin address of any agent, instead of --config')
    .option('--tls-ca <file>', "the cluster's CA (with --address)")
    .option('--tls-cert <file>', 'own certificate (with --address)')
    .option('--tls-key <file>', 'its key (with --address)');
}

export function hasConnection(options: ConnectionOptions): boolean {
  return options.config !== undefined || options.address !== undefined;
}

/** Runs `work` with a client, and closes it whatever happens. */
export async function withClient<Result>(
  options: ConnectionOptions,
  work: (client: AdminClient) => Promise<Result>,
): Promise<Result> {
  const { address, files } = target(options);
  const [{ AdminClient }, { readTls }] = await Promise.all([
    import('../admin/index.ts'),
    import('../peer/index.ts'),
  ]);
  const client = new AdminClient({ address, tls: await readTls(files), who: `${userName()}@${hostname()}` });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function target(options: ConnectionOptions): { readonly address: string; readonly files: TlsPaths } {
  const { config, address, tlsCa, tlsCert, tlsKey } = options;
  if (address === undefined) {
    if (config === undefined) throw new QuorateError('usage', 'give --config FILE, or --address HOST:PORT');
    const loaded = loadConfig(config, options);
    const files = {
      ca: tlsCa ?? loaded.tls.ca,
      cert: tlsCert ?? loaded.tls.cert,
      key: tlsKey ?? loaded.tls.key,
    };
    return { address: loaded.admin.listen, files };
  }
  const parsed = parseAddress(address);
  if (!parsed.ok) throw new QuorateError('usage', `--address: ${parsed.why}`);
  const formatted = formatAddress(parsed.value satisfies Address);
  if (config !== undefined) {
    const { tls } = loadConfig(config, options);
    return {
      address: formatted,
      files: { ca: tlsCa ?? tls.ca, cert: tlsCert ?? tls.cert, key: tlsKey ?? tls.key },
    };
  }
  if (tlsCa === undefined || tlsCert === undefined || tlsKey === undefined)
    throw new QuorateError('usage', '--address needs --tls-ca, --tls-cert and --tls-key (or --config)');
  return { address: formatted, files: { ca: tlsCa, cert: tlsCert, key: tlsKey } };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No entry in the password file, as in some containers.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
