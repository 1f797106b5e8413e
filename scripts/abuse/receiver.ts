/**
 * The receiver of the replication over gRPC beside the victim's agent, with its certificate: the local cluster has no ZFS, so nothing is
 * ever received, but who is let in, and what is refused, is decided before that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Listener } from './attacks.ts';

const PORT = 7405;
const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 5_000;
const LOOK_EVERY_MS = 100;

export interface AbusedReceiver {
  readonly listener: Listener;
  readonly pid: number;
  readonly isAlive: boolean;
  end(): Promise<void>;
}

/** `program`: dist/receiver.mjs; `configFile`: the agent's. */
export async function startReceiver(
  program: string,
  configFile: string,
  node: string,
  host: string,
): Promise<AbusedReceiver> {
  const config = parse(readFileSync(configFile, 'utf8'));
  config.replication = { pools: ['tank'], channel: { kind: 'grpc', port: PORT } };
  const file = join(dirname(configFile), 'receiver.yaml');
  writeFileSync(file, stringify(config));
  const words = [program, '--config', file, '--node', node];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => undefined);
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await untilOpen(host, child, isOver);
  return {
    listener: { name: 'replication', host, port: PORT },
    pid: child.pid ?? 0,
    get isAlive() {
      return !isOver();
    },
    end: () => ended(child, isOver),
  };
}

async function untilOpen(host: string, child: ChildProcess, isOver: () => boolean): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  while (!(await answers(host))) {
    if (isOver()) throw new Error(`the receiver has ended with code ${child.exitCode}`);
    if (performance.now() > end) {
      child.kill('SIGKILL');
      throw new Error(`the receiver does not listen within ${START_LIMIT_MS} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function answers(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: PORT }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** As its executor ends it. */
function ended(child: ChildProcess, isOver: () => boolean): Promise<void> {
  if (isOver()) return Promise.resolve();
  return new Promise((resolve) => {
    const limit = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
    child.once('close', () => {
      clearTimeout(limit);
      resolve();
    });
    child.stdin?.end();
  });
}
