/**
 * Entry of the receiver process (dist/receiver.mjs), which takes the replication's streams where the channel is gRPC.
 *
 *     node receiver.mjs --config FILE [--node ID]
 *
 * The executor starts it and ends it: it lives as long as its stdin is open, by which it is told who is a member (protocol.ts). It holds nothing, and what it is doing when it
 * ends can go on later (`zfs receive -s`).
 */
import { parseArgs } from 'node:util';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { formatAddress, loadConfig } from '../config/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import { readLines } from '../lines.ts';
import { CertificateWatch, checkTls, readTls } from '../peer/index.ts';
import { hostReceiver, ReplicationServer } from '../replication/channels/index.ts';
import { otherDataNode, yieldToOthers } from '../replication/index.ts';
import { readWord } from './protocol.ts';

const logger = pino({ name: 'receiver', base: null }, pino.destination({ fd: 2, sync: false }));

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' }, node: { type: 'string' } } });
  if (values.config === undefined)
    throw new QuorateError('config-unreadable', 'the receiver needs --config FILE');
  const config = loadConfig(values.config, { node: values.node });
  const channel = config.replication?.channel ?? null;
  if (channel?.kind !== 'grpc') throw new QuorateError('usage', 'replication.channel is not "kind: grpc"');
  const host = channel.hosts[config.node];
  if (host === undefined)
    throw new QuorateError('usage', `replication.channel has no host for ${config.node}`);
  process.chdir('/');
  yieldToOthers();
  const peer = otherDataNode(config, config.node);
  const { receiver, stop } = hostReceiver(config, peer);
  const { cluster, node } = config;
  const tls = await readTls(config.tls);
  checkTls(tls, { cluster, node });
  const server = new ReplicationServer({
    ...{ cluster, self: node, peer, receiver, tls },
    listen: formatAddress({ host, port: channel.port }),
    ...(channel.hosts[peer] === undefined ? {} : { peerAddress: channel.hosts[peer] }),
    log: (level, fields, text) => logger[level](fields, text),
  });

  const certificates = new CertificateWatch({
    ...{ paths: config.tls, tls, expected: { cluster, node }, clock: systemClock, logger },
    onRenewed: (renewed) => server.replaceTls(renewed),
  });

  let isEnding = false;
  const end = async (why: string): Promise<void> => {
    if (isEnding) return;
    isEnding = true;
    certificates.end();
    await server.close();
    await stop();
    logger.info({ event: 'receiver-ended', why });
    logger.flush(() => process.exit(EXIT.done));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(signal));
  for (const event of ['end', 'close', 'error'] as const)
    process.stdin.on(event, () => void end('its executor is gone'));
  readLines(process.stdin, {
    onLine: (line) => {
      const word = readWord(line);
      if (word === null) logger.warn({ event: 'word-not-understood' });
      else server.setMembers(word.ids);
    },
    onTooLong: () => void end('its executor says what is no word'),
  });

  const port = await server.listen();
  certificates.start();
  logger.info({ event: 'receiver-started', node: config.node, peer, port, pid: process.pid });
}

try {
  await main();
} catch (error) {
  const known = error instanceof QuorateError ? error : null;
  const msg = known?.oneLine ?? String(error);
  process.stderr.write(
    `${JSON.stringify({ level: 60, name: 'receiver', event: 'receiver-died', msg, code: known?.code ?? null })}\n`,
  );
  process.exit(known?.exitCode ?? EXIT.failed);
}
