/** A lab that is up answers on a unix socket in its folder: one request, one JSON line; then lines until `end`. */
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LabCommand } from './arguments.ts';
import type { Lab } from './lab.ts';
import { type Output, perform } from './perform.ts';

const REQUEST_LIMIT_CHARACTERS = 65_536;

type Line =
  | { readonly kind: 'say' | 'print'; readonly text: string }
  | { readonly kind: 'end'; readonly exit: number };

export const socketOf = (folder: string): string => join(folder, 'lab.sock');

/** Resolves when it was told to end. */
export function serveLab(lab: Lab, folder: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      let text = '';
      socket.setEncoding('utf8');
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > REQUEST_LIMIT_CHARACTERS) socket.destroy();
        if (!text.endsWith('\n')) return;
        // Only `ask` below writes here.
        const command = JSON.parse(text) as LabCommand;
        text = '';
        void answer(lab, command, socket).then(() => {
          if (command.kind === 'down') resolve();
        });
      });
    });
    server.once('error', reject);
    server.listen(socketOf(folder));
  });
}

async function answer(lab: Lab, command: LabCommand, socket: Socket): Promise<void> {
  const tell = (line: Line): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(line)}\n`);
  };
  const output: Output = {
    say: (text) => tell({ kind: 'say', text }),
    print: (text) => tell({ kind: 'print', text }),
  };
  try {
    tell({ kind: 'end', exit: await perform(lab, command, output) });
  } catch (error) {
    tell({ kind: 'say', text: error instanceof Error ? error.message : String(error) });
    tell({ kind: 'end', exit: 1 });
  }
  socket.end();
}

/** Resolves with the exit code; null when no lab is up in this folder. */
export function ask(folder: string, command: LabCommand, output: Output): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = connect(socketOf(folder), () => socket.write(`${JSON.stringify(command)}\n`));
    let rest = '';
    let exit: number | null = null;
    let isConnected = false;
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      isConnected = true;
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) {
        const line = JSON.parse(text) as Line;
        if (line.kind === 'end') exit = line.exit;
        else output[line.kind](line.text);
      }
    });
    // A lab that goes while it works has not done it.
    socket.on('close', () => resolve(exit ?? (isConnected ? 1 : null)));
  });
}
