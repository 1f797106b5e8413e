/** A client of the store's line protocol, for demo and tests: one connection, answers in order of arrival. */
import { connect, type Socket } from 'node:net';
import { onLines } from './lines.ts';

export class StoreClient {
  readonly #socket: Socket;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    onLines(socket, (line) => this.#waiting.shift()?.resolve(line));
    const ended = (): void => {
      socket.destroy();
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the store is gone'));
    };
    socket.on('error', ended);
    socket.on('close', ended);
    socket.on('end', ended);
  }

  static open(host: string, port: number, timeoutMs: number): Promise<StoreClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host);
      const timer = setTimeout(
        () => socket.destroy(new Error(`no connection in ${timeoutMs} ms`)),
        timeoutMs,
      );
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve(new StoreClient(socket));
      });
    });
  }

  /** One request, one line of answer: not for `all`. A time-out closes the connection: later answers would not match. */
  ask(line: string, timeoutMs: number): Promise<string> {
    if (this.#socket.destroyed) return Promise.reject(new Error('the store is gone'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no answer in ${timeoutMs} ms`));
        this.close();
      }, timeoutMs);
      this.#waiting.push({
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#socket.write(`${line}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
