/**
 * `quorate replication serve`, the forced command of the key that `pair` has authorised: it does what SSH_ORIGINAL_COMMAND
 * says where that is one of our questions, and nothing else whatever it says. The stream is this process's own stdin, which
 * `zfs receive` inherits: no byte of it passes here.
 */
import type { NodeId } from '../../core/index.ts';
import { VERSION } from '../../version.ts';
import type { Receiver } from '../receiver/index.ts';
import { answerPerform, answerRead } from './answering.ts';
import { type Answer, failedBy, parseCommand, readQuestion } from './protocol.ts';

export interface ServeParts {
  readonly cluster: string;
  readonly self: NodeId;
  /** Whom the key that was used belongs to, by the forced command's own argument. */
  readonly peer: NodeId;
  /** `SSH_ORIGINAL_COMMAND`; undefined where somebody wanted a shell. */
  readonly command: string | undefined;
  readonly receiver: Receiver;
  readonly signal: AbortSignal;
  /** Writes one answer, and resolves when it has gone. */
  say(answer: Answer): Promise<void>;
  /** Tries the way back, as this node's own sender. */
  probeBack(): Promise<{ readonly node: NodeId; readonly version: string }>;
}

/** Never rejects; false where the last answer was that it failed. */
export async function serve(parts: ServeParts): Promise<boolean> {
  let last: Answer;
  try {
    last = await answer(parts);
  } catch (error) {
    last = failedBy(error);
  }
  await parts.say(last);
  return last.kind !== 'failed' && (last.kind !== 'ended' || last.end.kind === 'received');
}

async function answer(parts: ServeParts): Promise<Answer> {
  const { cluster, self, peer, receiver, signal, say } = parts;
  const { verb, json } = parseCommand(parts.command ?? '');
  const question = readQuestion(json, { cluster, from: peer, to: self });
  switch (verb) {
    case 'read':
      return answerRead(receiver, question);
    case 'perform':
      return answerPerform(receiver, question, signal);
    case 'receive': {
      const running = await receiver.receive(question.epoch, question.order, 'inherit', signal);
      await say({ kind: 'started' });
      return { kind: 'ended', end: await running.ended };
    }
    case 'probe':
      return { kind: 'probed', node: self, version: VERSION };
    case 'probe-back':
      return { kind: 'probed', ...(await parts.probeBack()) };
  }
}
