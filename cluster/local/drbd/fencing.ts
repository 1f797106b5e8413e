/**
 * DRBD stand-in: the `fence-peer` handler, called as the kernel and drbdadm call it. Exit code 4 means that the peer
 * is outdated now; every other end means that nothing is known (the agent's handler answers only 4 or 1).
 */
import { type ChildProcess, spawn } from 'node:child_process';

export const PEER_OUTDATED_EXIT = 4;
const BROKEN_HANDLER_EXIT = 1;

export interface FencePeerHandler {
  /** Run by `sh -c`; null: there is no handler, so nobody can vouch for the peer. */
  readonly command: string | null;
  readonly resource: string;
  readonly minor: number;
  readonly peerNode: string;
  readonly peerAddress: string;
}

export class FencePeer {
  readonly #handler: FencePeerHandler;
  readonly #onEvent: (line: string) => void;
  #running: ChildProcess | null = null;

  constructor(handler: FencePeerHandler, onEvent: (line: string) => void) {
    this.#handler = handler;
    this.#onEvent = onEvent;
  }

  /** The handler's exit code. It has no time-out of its own, as in the kernel. */
  async call(): Promise<number> {
    const { command, resource, minor, peerNode, peerAddress } = this.#handler;
    const key = `name:${resource} peer-node-id:0 conn-name:peer helper:fence-peer`;
    this.#onEvent(`call helper ${key}`);
    const code =
      command === null
        ? BROKEN_HANDLER_EXIT
        : await this.#run(command, {
            DRBD_RESOURCE: resource,
            DRBD_MINOR: String(minor),
            DRBD_VOLUME: '0',
            DRBD_PEER: peerNode,
            DRBD_PEERS: peerNode,
            DRBD_PEER_AF: 'ipv4',
            DRBD_PEER_ADDRESS: peerAddress,
            DRBD_PEER_NODE_ID: '0',
          });
    this.#onEvent(`response helper ${key} status:${code}`);
    return code;
  }

  #run(command: string, environment: Record<string, string>): Promise<number> {
    return new Promise((resolve) => {
      const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      this.#running = child;
      const ended = (code: number | null): void => {
        this.#running = null;
        resolve(code ?? BROKEN_HANDLER_EXIT);
      };
      child.once('error', () => ended(null));
      child.once('exit', ended);
    });
  }

  stop(): void {
    this.#running?.kill('SIGKILL');
  }
}
