/**
 * Streams that were opened with a node's certificate. Who may open one is asked when it is opened, and anew when the log has changed:
 * a node that is removed meanwhile sees nothing more (E5). Nothing is kept or asked while no node has one open.
 */
import { InvariantError } from '../core/index.ts';
import { toStatus } from './errors.ts';

export interface LastingCall {
  emit(event: 'error', error: object): boolean;
}

export class LastingCalls {
  readonly #onChange: (listener: () => void) => () => void;
  readonly #open = new Map<LastingCall, () => void>();
  #stopListening: () => void = () => {};
  #look: NodeJS.Immediate | null = null;

  constructor(onChange: (listener: () => void) => () => void) {
    this.#onChange = onChange;
  }

  /**
   * What is returned says that it has ended, and may be called twice.
   * @param authorise throws where it may not be opened by now
   */
  add(call: LastingCall, authorise: () => void): () => void {
    if (this.#open.size === 0) this.#stopListening = this.#onChange(() => this.#onChanged());
    this.#open.set(call, authorise);
    return () => {
      if (this.#open.delete(call) && this.#open.size === 0) this.#stopListening();
    };
  }

  /** Not in the step that has changed something. */
  #onChanged(): void {
    this.#look ??= setImmediate(() => {
      this.#look = null;
      for (const [call, authorise] of [...this.#open]) this.#judge(call, authorise);
    });
  }

  #judge(call: LastingCall, authorise: () => void): void {
    try {
      authorise();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      call.emit('error', toStatus(error));
    }
  }
}
