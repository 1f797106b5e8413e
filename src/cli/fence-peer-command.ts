/** The help of `quorate fence-peer`, and its slower way through the admin address. With --config see fence-peer.ts. */
import type { Command } from 'commander';
import { EXIT, QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { ExitWith } from './exit-with.ts';
import { parseNodeOption } from './node-option.ts';

interface FenceOptions extends ConnectionOptions {
  readonly peer?: string;
}

/** DRBD's handler code for "the peer is outdated"; it overrides our own table of exit codes. */
const DRBD_PEER_OUTDATED = 4;

export function registerFencePeer(program: Command): void {
  const command = program.command('fence-peer');
  withConnection(
    command.description("DRBD's fence-peer handler: exit code 4 once the peer is outdated, 1 otherwise"),
  )
    .option('--peer <node>', 'the node to take out; without it, the only other data node')
    .action(async (options: FenceOptions) => {
      try {
        const peer = options.peer === undefined ? null : parseNodeOption('--peer', options.peer);
        await withClient(options, (client) => client.fencePeer(peer));
      } catch (error) {
        const line = error instanceof QuorateError ? error.oneLine : String(error);
        process.stderr.write(`quorate: fence-peer: the peer is not fenced: ${line}\n`);
        // Whatever failed, DRBD must not read one of its own codes out of it.
        throw new ExitWith(EXIT.failed);
      }
      throw new ExitWith(DRBD_PEER_OUTDATED);
    });
}
