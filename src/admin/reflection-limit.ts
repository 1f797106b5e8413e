import type { ServerDuplexStream } from '@grpc/grpc-js';
import { QuorateError } from '../errors.ts';

/** A generic client asks for some files and symbols. The answers of one stream wait in memory for whoever does not read them. */
const MAX_REFLECTION_QUESTIONS = 256;

/** Ends the stream at the limit. Before the service itself listens to it. */
export function limitQuestions(
  call: ServerDuplexStream<unknown, unknown>,
  fail: (error: unknown) => void,
): void {
  let asked = 0;
  call.on('data', () => {
    asked += 1;
    if (asked <= MAX_REFLECTION_QUESTIONS) return;
    call.removeAllListeners('data');
    call.removeAllListeners('end');
    fail(
      new QuorateError(
        'too-many-requests',
        `one stream may ask ${MAX_REFLECTION_QUESTIONS} questions of reflection`,
      ),
    );
  });
}
