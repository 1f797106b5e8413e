/** Shows a tap what goes over the executor's channel, while somebody looks; the time of one branch while nobody does. */
import type { ExecutorEvent, Greeting, OrderText } from './protocol.ts';
import type { ExecutorTap, Renewal } from './tap.ts';

export class ShownLines {
  readonly #tap: ExecutorTap | undefined;

  constructor(tap: ExecutorTap | undefined) {
    this.#tap = tap;
  }

  /** `line`: with its end. */
  sent(content: OrderText | Renewal, line: string, isSent: boolean): void {
    if (this.#tap?.isWatched !== true) return;
    const bytes = Buffer.byteLength(line);
    this.#tap.line({ direction: 'sent', content, bytes, outcome: isSent ? null : 'not sent' });
  }

  /** `line`: without its end. */
  received(content: ExecutorEvent | Greeting, line: string): void {
    if (this.#tap?.isWatched !== true) return;
    const bytes = Buffer.byteLength(line) + 1;
    this.#tap.line({ direction: 'received', content, bytes, outcome: null });
  }

  gone(): void {
    if (this.#tap?.isWatched !== true) return;
    this.#tap.line({ direction: 'received', content: { kind: 'gone' }, bytes: 0, outcome: null });
  }
}
