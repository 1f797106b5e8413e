/** Waiting for whoever reads a stream. */
import type { EventEmitter } from 'node:events';

/** `error`: it was ended from here (a node that was removed meanwhile); nobody says `cancelled` then. */
const ENDS = ['cancelled', 'error', 'close'] as const;

/** Whether more may be written; false: nobody reads any more. Never rejects; nothing of it is left on the call. */
export function drained(call: Pick<EventEmitter, 'once' | 'off'>): Promise<boolean> {
  return new Promise((resolve) => {
    const onDrain = (): void => end(true);
    const onEnd = (): void => end(false);
    const end = (mayWrite: boolean): void => {
      call.off('drain', onDrain);
      for (const name of ENDS) call.off(name, onEnd);
      resolve(mayWrite);
    };
    call.once('drain', onDrain);
    for (const name of ENDS) call.once(name, onEnd);
  });
}
