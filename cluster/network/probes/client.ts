/**
 * The client: asks every 10 ms, each time anew, and remembers who answered and when. A question is lost after a while; the
 * next ones do not wait for it. Instants are of CLOCK_MONOTONIC, which all processes of a machine share.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { serveParent } from '../../local/node/index.ts';
import { now } from './clock.ts';

export type Protocol = 'udp' | 'tcp';

export interface Target {
  readonly name: string;
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

export interface Answer {
  readonly target: string;
  readonly node: string;
  /** The node had the address at some instant between these two, in ms. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

export interface ClientCommand {
  readonly kind: 'ask';
  readonly targets: readonly Target[];
}

export interface ClientNews {
  readonly kind: 'answers';
  readonly answers: readonly Answer[];
}

export const ASK_EVERY_MS = 10;
const LOST_AFTER_MS = 300;
const REPORT_EVERY_MS = 20;

export function runClient(): void {
  let answers: Answer[] = [];
  let asking: (() => void)[] = [];
  const note = (answer: Answer): void => {
    answers.push(answer);
  };
  serveParent<ClientCommand>(async ({ targets }) => {
    asking = targets.map((target) => (target.protocol === 'udp' ? udpAsker : tcpAsker)(target, note));
  });
  let next = now();
  const tick = (): void => {
    for (const ask of asking) ask();
    // On a fixed grid; after a stall it goes on from now, without catching up.
    next = Math.max(next + ASK_EVERY_MS, now());
    setTimeout(tick, next - now());
  };
  tick();
  setInterval(() => {
    if (answers.length > 0) process.send?.({ kind: 'answers', answers } satisfies ClientNews);
    answers = [];
  }, REPORT_EVERY_MS);
}

function udpAsker({ name, address, port }: Target, note: (answer: Answer) => void): () => void {
  const socket = createSocket('udp4');
  const asked = new Map<string, number>();
  let sequence = 0;
  socket.on('error', () => undefined);
  socket.on('message', (message) => {
    const [number = '', node = ''] = message.toString().split(' ');
    const askedAt = asked.get(number);
    if (askedAt !== undefined) note({ target: name, node, askedAt, answeredAt: now() });
  });
  return () => {
    sequence += 1;
    const key = String(sequence);
    asked.set(key, now());
    socket.send(key, port, address, () => undefined);
    // In order of insertion: the first is the oldest.
    for (const [old, at] of asked) {
      if (now() - at < LOST_AFTER_MS) break;
      asked.delete(old);
    }
  };
}

/** A new connection for each question, as a client that reconnects. */
function tcpAsker({ name, address, port }: Target, note: (answer: Answer) => void): () => void {
  return () => {
    const askedAt = now();
    const socket = connect(port, address);
    const limit = setTimeout(() => socket.destroy(), LOST_AFTER_MS);
    socket.on('data', (data) => {
      note({ target: name, node: data.toString(), askedAt, answeredAt: now() });
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => clearTimeout(limit));
  };
}
