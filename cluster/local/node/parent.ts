/**
 * Helper processes of the local cluster (links, watchdogs): requests and answers over the IPC channel of the
 * child_process module. When the parent dies the channel closes, and the helper ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';

type Envelope = { readonly id: number; readonly command: unknown };
type Reply = { readonly id: number; readonly error: string | null };

export function serveParent<Command>(
  perform: (command: Command) => Promise<void>,
  onParentGone: () => void = () => undefined,
): void {
  process.on('message', (message) => {
    // Only `HelperProcess` below sends on this channel.
    const { id, command } = message as Envelope;
    perform(command as Command).then(
      () => process.send?.({ id, error: null } satisfies Reply),
      (error) => process.send?.({ id, error: String(error) } satisfies Reply),
    );
  });
  process.once('disconnect', () => {
    onParentGone();
    process.exit(0);
  });
}

export class HelperProcess<Command> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (error: string | null) => void>();
  #nextId = 1;

  /**
   * `onEvent` gets every message that is not an answer. `launcher` becomes the helper in the end, by exec:
   * `ip netns exec NAME`.
   */
  constructor(
    script: string,
    name: string,
    onEvent: (event: unknown) => void,
    onExit: () => void,
    launcher: readonly string[] = [],
  ) {
    const words = [...launcher, process.execPath, script, name];
    this.#child = spawn(words[0] ?? '', words.slice(1), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => {
      const reply = message as Partial<Reply>;
      if (typeof reply.id !== 'number') return onEvent(message);
      this.#waiting.get(reply.id)?.(reply.error ?? null);
      this.#waiting.delete(reply.id);
    });
    this.#child.once('exit', () => {
      for (const answer of this.#waiting.values()) answer(`the ${name} process ended`);
      this.#waiting.clear();
      onExit();
    });
  }

  request(command: Command): Promise<void> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (error) => (error === null ? resolve() : reject(new Error(error))));
      const failed = (error: Error | null): void => {
        if (error !== null) this.#waiting.get(id)?.(error.message);
      };
      if (this.#child.connected) this.#child.send({ id, command } satisfies Envelope, failed);
      else failed(new Error('the helper process has ended'));
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
