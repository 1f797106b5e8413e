/**
 * A slow cable: a process between the two ends of a VXLAN, each of whose packets is a whole frame. It holds every one
 * back for a while, and can lose some. In order: a packet never overtakes an earlier one.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { serveParent } from '../local/node/index.ts';
import { SLOW } from './cuts.ts';

export interface SlowCommand {
  readonly kind: 'slow';
  /** For each direction. */
  readonly delayMs: number;
}

const MAX_HELD = 10_000;

export async function runSlowCable(): Promise<void> {
  let delayMs = 0;
  let held = 0;
  const open = async (port: number): Promise<Socket> => {
    const socket = createSocket('udp4');
    socket.on('error', () => undefined);
    socket.bind(port, SLOW.farAddress);
    await once(socket, 'listening');
    return socket;
  };
  const near = await open(SLOW.near);
  const far = await open(SLOW.far);
  const relay = (from: Socket, to: Socket, port: number): void => {
    from.on('message', (frame) => {
      // As a full queue does.
      if (held >= MAX_HELD) return;
      held += 1;
      setTimeout(() => {
        held -= 1;
        to.send(frame, port, SLOW.switchAddress);
      }, delayMs);
    });
  };
  relay(near, far, SLOW.far);
  relay(far, near, SLOW.near);
  serveParent<SlowCommand>(async (command) => {
    delayMs = command.delayMs;
  });
}
