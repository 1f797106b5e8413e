/**
 * Starts the sending child with a channel's sink for its stdout. Where the sink has a file descriptor (SSH) the child gets that
 * one, and no byte passes this process; this process's own copy is closed at once, or the other end would never see the end.
 */
import { type ChildProcessByStdio, type SpawnOptions, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Receiving } from '../channel.ts';

/** Its stderr is to be read; its stdout is the sink's. The caller sees to its end, also when `ended` comes first. */
export function spawnInto(
  { sink }: Pick<Receiving, 'sink'>,
  [program = '', ...words]: readonly string[],
  options: Pick<SpawnOptions, 'env' | 'detached'> = {},
): ChildProcessByStdio<null, Readable | null, Readable> {
  const isDirect = sink instanceof Socket;
  const child = spawn(program, words, { ...options, stdio: ['ignore', isDirect ? sink : 'pipe', 'pipe'] });
  if (isDirect) sink.destroy();
  else {
    const { stdout } = child;
    stdout?.pipe(sink, { end: false });
    // Its output ends in any case; only a child that has ended well has sent all of it.
    child.once('close', (code) => {
      if (code === 0) sink.end();
      else sink.destroy();
    });
    child.once('error', () => sink.destroy());
  }
  return child as ChildProcessByStdio<null, Readable | null, Readable>;
}
