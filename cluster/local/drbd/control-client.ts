/** DRBD stand-in: asks a daemon's control port from outside the node, always with a time-out. */
import { connect } from 'node:net';
import type { Endpoint } from './peer-channel.ts';

export interface ControlAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Rejects when the daemon does not answer in time: dead, stopped, or the node is off. */
export function askDaemon(
  control: Endpoint,
  words: readonly string[],
  timeoutMs: number,
): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(control.port, control.host);
    let text = '';
    const timer = setTimeout(() => fail(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.setEncoding('utf8');
    socket.once('connect', () => socket.write(`${words.join('\t')}\n`));
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.once('error', fail);
    socket.once('close', () => {
      clearTimeout(timer);
      const lines = text.split('\n');
      const exit = lines.find((line) => line.startsWith('='));
      if (exit === undefined) return reject(new Error('the daemon ended without an answer'));
      const of = (mark: string): string =>
        lines
          .filter((line) => line.startsWith(mark))
          .map((line) => `${line.slice(1)}\n`)
          .join('');
      resolve({ exit: Number(exit.slice(1)), stdout: of('1'), stderr: of('2') });
    });
  });
}

export interface DrbdSnapshot {
  readonly up: boolean;
  readonly role?: string;
  readonly peerRole?: string;
  readonly disk?: string;
  readonly peerDisk?: string;
  readonly connection?: string;
  readonly suspendedByFencing?: boolean;
  readonly isHeld?: boolean;
  readonly outOfSyncBlocks?: number;
}

export async function drbdSnapshot(control: Endpoint, timeoutMs: number): Promise<DrbdSnapshot> {
  const { stdout } = await askDaemon(control, ['local', 'status'], timeoutMs);
  return JSON.parse(stdout) as DrbdSnapshot;
}

/** True only if a new write completed on this node within the time. */
export async function probeWrite(control: Endpoint, timeoutMs: number): Promise<boolean> {
  try {
    const answer = await askDaemon(control, ['local', 'probe-write', String(timeoutMs)], timeoutMs * 2 + 50);
    return answer.exit === 0;
  } catch {
    return false;
  }
}
