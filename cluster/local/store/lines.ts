import type { Socket } from 'node:net';

const LINE_LIMIT_CHARACTERS = 65_536;

/** Calls back for every line. (Node's readline passes a socket's error on as one of its own, with no listener.) */
export function onLines(socket: Socket, listener: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_LIMIT_CHARACTERS) socket.destroy();
    for (const line of lines) listener(line);
  });
}
