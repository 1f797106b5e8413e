/** Whether anybody still listens where an old member did. */
import { connect } from 'node:net';
import { parseAddress } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';

/** A host that is up answers within a round trip; one that is not, within none. */
const LIMIT_MS = 3_000;

export interface Answer {
  readonly node: NodeId;
  /** `host-up`: it refuses the connection, so that its kernel runs, and no agent does. */
  readonly state: 'answers' | 'host-up' | 'silent' | 'unclear';
  readonly detail: string;
}

export function whoAnswers(others: ReadonlyMap<NodeId, string>): Promise<Answer[]> {
  return Promise.all([...others].map(([node, address]) => ask(node, address)));
}

/** A connection alone is enough: one that then says nothing may be a process that stands still, and wakes up. */
function ask(node: NodeId, address: string): Promise<Answer> {
  const parsed = parseAddress(address);
  if (!parsed.ok)
    return Promise.resolve({ node, state: 'unclear', detail: `${node}: ${address} is no address` });
  const { host, port } = parsed.value;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (state: Answer['state'], what: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ node, state, detail: `${node} (${address}) ${what}` });
    };
    const timer = setTimeout(() => end('silent', `is silent for ${LIMIT_MS / 1000} s`), LIMIT_MS);
    socket.once('connect', () => end('answers', 'accepts connections'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED')
        end('host-up', 'refuses connections: its host is up, no agent listens');
      else if (error.code === 'EHOSTUNREACH' || error.code === 'ENETUNREACH' || error.code === 'ETIMEDOUT')
        end('silent', `cannot be reached (${error.code})`);
      else end('unclear', `cannot be asked: ${error.message}`);
    });
  });
}
