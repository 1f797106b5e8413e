/** Newline-delimited texts on a socket, bounded: a longer line ends the connection. */
import type { Socket } from 'node:net';

export const MAX_LINE_BYTES = 64 * 1024;

export interface LineHandlers {
  onLine(line: string): void;
  onTooLong(): void;
}

export function readLines(socket: Socket, handlers: LineHandlers): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    rest += chunk;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (line.length > MAX_LINE_BYTES) return handlers.onTooLong();
      handlers.onLine(line);
      if (socket.destroyed) return;
    }
    if (rest.length > MAX_LINE_BYTES) handlers.onTooLong();
  });
}
