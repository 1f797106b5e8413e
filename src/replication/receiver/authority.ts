/**
 * Whether a sender may change anything here: what the local agent knows of tenures decides, and who cannot be asked has not
 * said yes (style 10). Two data nodes can hold, this one and the sender: as long as this one neither holds nor may, nothing
 * that the sender does can meet a second writer (H2).
 */
import { connect } from 'node:net';
import { z } from 'zod';
import { assertNever, type Epoch, epoch, type NodeId, nodeId } from '../../core/index.ts';

export type Known =
  | {
      readonly kind: 'known';
      /** It holds, is about to, is releasing, or is not sure. */
      readonly mayHold: boolean;
      /** The newest tenure in the committed log, open or not; null before the first. */
      readonly tenure: { readonly epoch: Epoch; readonly node: NodeId; readonly isReleased: boolean } | null;
    }
  | { readonly kind: 'unknown'; readonly why: string };

export interface Authority {
  /** Never rejects. */
  ask(signal: AbortSignal): Promise<Known>;
}

export type Verdict =
  | { readonly kind: 'yes' }
  | { readonly kind: 'no'; readonly why: string }
  /** Taken for no, except by what runs already: for a while. */
  | { readonly kind: 'unknown'; readonly why: string };

/** May `peer`, in a tenure of this epoch, change copies on `self`? */
export function judge(known: Known, self: NodeId, peer: NodeId, claimed: Epoch): Verdict {
  if (known.kind === 'unknown') return { kind: 'unknown', why: known.why };
  const no = (why: string): Verdict => ({ kind: 'no', why });
  const { mayHold, tenure } = known;
  if (mayHold) return no(`${self} holds, or may hold, itself`);
  if (tenure === null) return { kind: 'yes' };
  if (claimed < tenure.epoch)
    return no(
      `the order is of epoch ${claimed}, and ${self} knows of epoch ${tenure.epoch} of ${tenure.node}`,
    );
  // This node's log may be behind, never ahead.
  if (claimed > tenure.epoch) return { kind: 'yes' };
  if (tenure.node !== peer) return no(`epoch ${claimed} is of ${tenure.node}, not of ${peer}`);
  return tenure.isReleased ? no(`${peer} has released epoch ${claimed}`) : { kind: 'yes' };
}

export function mustBeYes(verdict: Verdict): string | null {
  switch (verdict.kind) {
    case 'yes':
      return null;
    case 'no':
      return verdict.why;
    case 'unknown':
      return `what the agent here knows is not known, so nothing is changed: ${verdict.why}`;
    default:
      return assertNever(verdict);
  }
}

const ANSWER_LIMIT_MS = 2000;
const MAX_ANSWER_CHARACTERS = 4096;

const answerSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), result: z.string().max(MAX_ANSWER_CHARACTERS) }),
  z.object({ ok: z.literal(false), message: z.string().max(MAX_ANSWER_CHARACTERS) }),
]);
const knownSchema = z.strictObject({
  mayHold: z.boolean(),
  tenure: z
    .strictObject({
      epoch: z.number().int().nonnegative().transform(epoch),
      node: z.string().max(63).transform(nodeId),
      isReleased: z.boolean(),
    })
    .nullable(),
});

/** Asks the agent of this host on the socket of its data directory. */
export function localAuthority(socketPath: string): Authority {
  return {
    ask: async (signal) => {
      try {
        const answer = answerSchema.parse(JSON.parse(await askOnce(socketPath, signal)));
        if (!answer.ok) return { kind: 'unknown', why: answer.message };
        return { kind: 'known', ...knownSchema.parse(JSON.parse(answer.result)) };
      } catch (error) {
        const why =
          error instanceof z.ZodError || error instanceof SyntaxError
            ? NOT_UNDERSTOOD
            : String((error as Error).message);
        return { kind: 'unknown', why: `the agent on ${socketPath}: ${why}` };
      }
    },
  };
}

const NOT_UNDERSTOOD = 'its answer is not understood: is it of another version?';

function askOnce(path: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const fail = (why: string): void => end(() => reject(new Error(why)));
    const timer = setTimeout(() => fail(`no answer within ${ANSWER_LIMIT_MS} ms`), ANSWER_LIMIT_MS);
    const onAbort = (): void => fail('the question was given up');
    signal.addEventListener('abort', onAbort, { once: true });
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write('{"command":"authority"}\n'));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('closed the connection without an answer'));
    socket.on('data', (chunk: string) => {
      text += chunk;
      const at = text.indexOf('\n');
      if (at >= 0) end(() => resolve(text.slice(0, at)));
      else if (text.length > MAX_ANSWER_CHARACTERS) fail('says too much');
    });
    if (signal.aborted) onAbort();
  });
}
