/** `quorate replication serve`: for sshd only, as the forced command of a key. */
import type { Command } from 'commander';
import { loadConfig } from '../config/index.ts';
import { EXIT } from '../errors.ts';
import { ExitWith } from './exit-with.ts';
import { parseNodeOption } from './node-option.ts';

interface ServeOptions {
  readonly config: string;
  readonly node?: string;
  readonly peer: string;
}

export function registerServe(group: Command): void {
  group
    .command('serve')
    .description(
      'receive from the other data node; only sshd calls it, for the key that "pair" has authorised',
    )
    .requiredOption('--config <file>', 'config file of the data node of this host')
    .option('--node <id>', 'the node, where the config file does not say it')
    .requiredOption('--peer <node>', 'whose key was used')
    .action(serveOptions);
}

async function serveOptions(options: ServeOptions): Promise<void> {
  const { hostReceiver, openSshChannel, serve, writeAnswer } = await import(
    '../replication/channels/index.ts'
  );
  const { yieldToOthers } = await import('../replication/index.ts');
  yieldToOthers();
  const config = loadConfig(options.config, { node: options.node, needsTls: false });
  const peer = parseNodeOption('--peer', options.peer);
  const { receiver, stop } = hostReceiver(config, peer);
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => ending.abort());
  // The sender is gone: what it has sent is dealt with all the same, and this ends with it.
  process.stdout.removeAllListeners('error').on('error', () => {});
  const isWell = await serve({
    cluster: config.cluster,
    self: config.node,
    peer,
    command: process.env.SSH_ORIGINAL_COMMAND,
    receiver,
    signal: ending.signal,
    say: (answer) =>
      new Promise((resolve) => process.stdout.write(`${writeAnswer(answer)}\n`, () => resolve())),
    probeBack: async () => {
      const channel = await openSshChannel(config);
      return channel.probe({ signal: ending.signal, limitMs: PROBE_LIMIT_MS });
    },
  });
  await stop();
  if (!isWell) throw new ExitWith(EXIT.failed);
}

const PROBE_LIMIT_MS = 30_000;
