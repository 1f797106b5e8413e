/** One ssh child: lines of answers come out of it, and its end, once. Whoever starts one kills it or hears of its end. */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { QuorateError } from '../../errors.ts';
import { type Answer, commandOf, PROTOCOL_LIMITS, type Question, readAnswer, type Verb } from './protocol.ts';
import { type SshTarget, spawnSsh, sshFailure } from './ssh-command.ts';

const MAX_STDERR_CHARACTERS = 8192;

export class SshCall {
  readonly #target: SshTarget;
  readonly #child: ChildProcess;
  readonly #answers: (Answer | null)[] = [];
  #wake: () => void = () => {};
  #rest = '';
  #stderr = '';
  #spawnError: Error | null = null;
  #isOver = false;

  constructor(target: SshTarget, verb: Verb, question: Question, stdin: 'ignore' | 'pipe') {
    this.#target = target;
    this.#child = spawnSsh(target, commandOf(verb, question), stdin);
    this.#child.stdin?.on('error', () => {});
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#stderr.length < MAX_STDERR_CHARACTERS) this.#stderr += text;
    });
    this.#child.once('error', (error) => {
      this.#spawnError = error;
      this.#over();
    });
    this.#child.once('close', () => this.#over());
  }

  /** To be given to the sending child as its stdout. */
  get stdin(): Socket {
    // A child's pipe is one.
    return this.#child.stdin as Socket;
  }

  kill(): void {
    this.#child.kill('SIGTERM');
  }

  /** The next answer; null is one that is not understood. Throws why ssh has ended where it did so without one. */
  async next(): Promise<Answer | null> {
    while (this.#answers.length === 0 && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const answer = this.#answers.shift();
    if (answer !== undefined) return answer;
    if (this.#spawnError !== null)
      throw new QuorateError('command-missing', `ssh cannot be started: ${this.#spawnError.message}`);
    throw sshFailure(this.#target, this.#stderr);
  }

  /** `next`, killed at its limit or by the signal. */
  async within(limitMs: number, signal: AbortSignal, isChange: boolean): Promise<Answer | null> {
    let ended: QuorateError | null = null;
    const end = (why: string): void => {
      const code = isChange ? 'timed-out-unknown' : 'peer-unreachable';
      ended ??= new QuorateError(code, `${this.#target.to}: ${why}`);
      this.kill();
    };
    const timer = setTimeout(() => end(`no answer within ${limitMs} ms`), limitMs);
    const onAbort = (): void => end('the call was given up');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await this.next();
    } catch (error) {
      throw ended ?? error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #hear(text: string): void {
    this.#rest += text;
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n')) {
      this.#answers.push(readAnswer(this.#rest.slice(0, end)));
      this.#rest = this.#rest.slice(end + 1);
    }
    if (this.#rest.length > PROTOCOL_LIMITS.answerCharacters || this.#answers.length > MAX_ANSWERS) {
      this.#rest = '';
      this.#answers.splice(0, this.#answers.length, null);
      this.kill();
    }
    this.#wake();
  }

  #over(): void {
    this.#isOver = true;
    this.#wake();
  }
}

/** Nobody says more than two. */
const MAX_ANSWERS = 8;
