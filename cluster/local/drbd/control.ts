/**
 * DRBD stand-in: the control port, on the node's own loopback address. The shims send one line: the program's name and
 * its arguments, separated by tabs. The answer is lines: `1text` for stdout, `2text` for stderr, `=N` exit code, last.
 * `local\t…` is for observers and tests, not for agents.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type Answer, drbdadm, drbdsetup, type Kernel, snapshot } from './commands.ts';
import { destroyEvents, dumpEvents } from './state.ts';

const REQUEST_LIMIT_BYTES = 4096;

export interface ControlTarget extends Kernel {
  /** A real write to the observer's block: completes only if this node can complete a write now. */
  probeWrite(timeoutMs: number): Promise<string>;
  failDisk(): void;
}

export class ControlServer {
  readonly #target: ControlTarget;
  readonly #followers = new Set<Socket>();
  readonly #server: Server;

  constructor(target: ControlTarget) {
    this.#target = target;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
  }

  /** One line for everybody who follows `events2`. */
  emit(line: string): void {
    for (const socket of this.#followers) socket.write(`1${line}\n`);
  }

  emitUp(): void {
    const { resource, resourceName, minor } = this.#target;
    if (resource === null) return;
    for (const line of dumpEvents('create', resourceName, minor, resource.view)) this.emit(line);
  }

  emitDown(): void {
    for (const line of destroyEvents(this.#target.resourceName, this.#target.minor)) this.emit(line);
  }

  #serve(socket: Socket): void {
    let text = '';
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#followers.delete(socket));
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
      if (text.length > REQUEST_LIMIT_BYTES) {
        socket.destroy();
        return;
      }
      const end = text.indexOf('\n');
      if (end === -1) return;
      const words = text.slice(0, end).split('\t');
      text = '';
      this.#answer(socket, words).catch((error) => {
        reply(socket, { exit: 20, stdout: [], stderr: [`stand-in: ${String(error)}`] });
      });
    });
  }

  async #answer(socket: Socket, [program, ...words]: string[]): Promise<void> {
    if (program === 'drbdadm') return reply(socket, await drbdadm(this.#target, words));
    if (program === 'local') return reply(socket, await this.#local(words));
    if (words[0] === 'events2') return this.#events(socket, words.slice(1));
    reply(socket, drbdsetup(this.#target, words));
  }

  #events(socket: Socket, words: readonly string[]): void {
    const name = words.find((word) => !word.startsWith('-'));
    const { resource, resourceName, minor } = this.#target;
    const isOurs = name === undefined || name === 'all' || name === resourceName;
    const lines = resource !== null && isOurs ? dumpEvents('exists', resourceName, minor, resource.view) : [];
    socket.write([...lines, 'exists -'].map((line) => `1${line}\n`).join(''));
    if (words.includes('--now')) socket.end('=0\n');
    else if (isOurs) this.#followers.add(socket);
  }

  async #local([command, argument]: string[]): Promise<Answer> {
    switch (command) {
      case 'status':
        return { exit: 0, stdout: [JSON.stringify(snapshot(this.#target))], stderr: [] };
      case 'probe-write': {
        const result = await this.#target.probeWrite(Number(argument ?? '100'));
        return { exit: result === 'completed' ? 0 : 1, stdout: [result], stderr: [] };
      }
      case 'fail-disk':
        this.#target.failDisk();
        return { exit: 0, stdout: [], stderr: [] };
      default:
        return { exit: 20, stdout: [], stderr: [`unknown command ${command ?? ''}`] };
    }
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#followers) socket.destroy();
  }
}

function reply(socket: Socket, { exit, stdout, stderr }: Answer): void {
  const lines = [...stdout.map((line) => `1${line}`), ...stderr.map((line) => `2${line}`), `=${exit}`];
  socket.end(`${lines.join('\n')}\n`);
}
