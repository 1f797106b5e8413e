/**
 * Every error that a user can meet has a stable code here, with its meaning, its remedy and its exit code.
 * `docs/errors.md` is checked against this table by a test.
 */

/** Exit codes of every command (design.md) and, from 10 on, of a dying agent or executor. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  unknown: 5,
  storage: 10,
  invariant: 11,
  hardState: 12,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface ErrorKind {
  readonly exit: ExitCode;
  readonly meaning: string;
  readonly remedy: string;
}

export const ERRORS = {
  'invariant-broken': {
    exit: EXIT.invariant,
    meaning: 'A check of our own logic failed; the agent released and stopped rather than go on.',
    remedy: 'Keep the data directory and the log, restart the agent, report the message.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** An operating error. `message` says what happened and where; the table says what to do. */
export class QuorateError extends Error {
  override readonly name = 'QuorateError';
  readonly code: ErrorCode;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; context?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
  }

  get exitCode(): ExitCode {
    return ERRORS[this.code].exit;
  }

  /** One line for a terminal: what happened, what to do, and the code to look up. */
  get oneLine(): string {
    return `${this.message.replaceAll(/\s*\n\s*/g, ' ')} — ${ERRORS[this.code].remedy} [${this.code}]`;
  }
}
