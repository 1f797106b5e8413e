/** The lab's way into a guest, over its management port (guest/commands.sh). Every question has a deadline. */
import { connect, type Socket } from 'node:net';
import { managementAddress, type NodeName, PORT } from './hosts.ts';

const RUN_LIMIT_MS = 30_000;

export interface Ran {
  readonly exit: number;
  readonly output: string;
}

/** What a guest's kernel says at one moment. */
export interface Look {
  readonly uptimeS: number;
  /** Writes that the DRBD devices have completed since they were set up; null: there is none. */
  readonly writes: number | null;
  /** As in /proc/drbd: `Primary`, `Secondary`, ...; null: not set up. */
  readonly role: string | null;
  readonly connection: string | null;
  readonly disks: string | null;
  readonly isSuspended: boolean;
}

/** Pure. Null when the line is not one. */
export function parseLook(line: string): Look | null {
  const [uptime = '', writes = '', ...rest] = line.split('|');
  const uptimeS = Number(uptime);
  if (uptime === '' || !Number.isFinite(uptimeS)) return null;
  const state = / 0: cs:(\S+) ro:([^/\s]+)\/\S+ ds:(\S+) \S (\S+)/.exec(rest.join('|'));
  return {
    uptimeS,
    writes: /^\d+$/.test(writes) ? Number(writes) : null,
    role: state?.[2] ?? null,
    connection: state?.[1] ?? null,
    disks: state?.[3] ?? null,
    // I/O flags: the first is `s` for suspended (DRBD users' guide, /proc/drbd).
    isSuspended: state?.[4]?.startsWith('s') ?? false,
  };
}

/** Resolves when the guest answered; rejects when it did not in time. */
export function runIn(node: NodeName, command: string, limitMs = RUN_LIMIT_MS): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const socket = connect(PORT.command, managementAddress(node));
    let output = '';
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (why: string): void => end(() => reject(new Error(`${node}: ${command}: ${why}`)));
    const timer = setTimeout(() => fail(`no answer in ${limitMs} ms`), limitMs);
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`run ${command.length}\n${command}`));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('the connection ended'));
    socket.on('data', (text: string) => {
      output += text;
      const exit = /\nrc (\d+)\n$/.exec(output);
      if (exit === null) return;
      const said = output.slice(0, exit.index);
      end(() => resolve({ exit: Number(exit[1]), output: said }));
    });
  });
}

/** Asks one guest again and again on one connection. */
export class Looker {
  readonly #node: NodeName;
  #socket: Socket | null = null;

  constructor(node: NodeName) {
    this.#node = node;
  }

  /** Null when there was no answer in time. */
  async look(limitMs: number): Promise<Look | null> {
    try {
      return parseLook(await this.#ask(limitMs));
    } catch {
      this.close();
      return null;
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #ask(limitMs: number): Promise<string> {
    const socket = this.#socket ?? connect(PORT.command, managementAddress(this.#node));
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      let text = '';
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on('error', () => undefined);
        settle();
      };
      const timer = setTimeout(() => end(() => reject(new Error('no answer'))), limitMs);
      socket.setEncoding('utf8');
      socket.on('error', (error) => end(() => reject(error)));
      socket.on('close', () => end(() => reject(new Error('closed'))));
      socket.on('data', (chunk: string) => {
        text += chunk;
        const newline = text.indexOf('\n');
        if (newline >= 0) end(() => resolve(text.slice(0, newline)));
      });
      socket.write('look\n');
    });
  }
}
