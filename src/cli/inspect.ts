/** `quorate inspect`: what passes at a node, live and decoded. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { Inspected } from '../admin/index.ts';
import { parseDuration } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import { Capture, type FilterRequest } from '../inspect/index.ts';
import { VERSION } from '../version.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { inspectHeading, inspectJson, inspectLine } from './inspect-text.ts';
import { paintFor } from './output.ts';

interface InspectOptions extends ConnectionOptions {
  readonly peer: readonly string[];
  readonly kind: readonly string[];
  readonly direction?: string;
  readonly slowerThan?: number;
  readonly count?: number;
  readonly for?: number;
  readonly json?: boolean;
  readonly pcapng?: string;
}

const LONGEST_MS = 7 * 86_400_000;
const MOST_COUNT = 1_000_000_000;

export function registerInspect(program: Command): void {
  const command = program
    .command('inspect')
    .description(
      "show live, decoded, what passes at a node: messages between nodes, orders to the executor, calls to the cloud; needs an operator's certificate, or a node's",
    );
  withConnection(command)
    .option('--peer <nodes>', 'only what passes between the node and these: b or b,w', parseNames, [])
    .option(
      '--kind <kinds>',
      'only these: heartbeat,append; a channel: peer, executor, cloud; or a call: AssociateAddress',
      parseNames,
      [],
    )
    .option('--direction <way>', 'only what is sent, or only what is received')
    .option('--slower-than <time>', 'only answers that took longer, as 20ms', parseTime)
    .option('--count <n>', 'end after so many', parseCount)
    .option('--for <time>', 'end after this time, as 10s', parseTime)
    .option('--json', 'print one JSON document a line')
    .option(
      '--pcapng <file>',
      'write a capture for Wireshark and tshark too; - for stdout, and nothing else there',
    )
    .action(run);
}

async function run(options: InspectOptions): Promise<void> {
  if (options.pcapng === '-' && options.json === true)
    throw new QuorateError('usage', 'stdout is for --json or for --pcapng -, not for both');
  const filter: FilterRequest = {
    peers: options.peer,
    kinds: options.kind,
    direction: options.direction ?? null,
    slowerThanMs: options.slowerThan ?? 0,
  };
  const out = new Output(options);
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, end);
  try {
    await withClient(options, async (client) => {
      let timer: NodeJS.Timeout | undefined;
      try {
        for await (const page of client.inspect(filter, ending.signal)) {
          // It counts from here: until now there was nobody to look.
          if (options.for !== undefined) timer ??= setTimeout(end, options.for);
          out.begin(page.observer);
          for (const item of page.items) {
            out.write(item);
            if (options.count !== undefined && out.shown >= options.count) return;
          }
        }
      } finally {
        clearTimeout(timer);
      }
    });
  } finally {
    for (const signal of signals) process.off(signal, end);
    out.end();
  }
}

/** Lines on stdout, packets in a file; which of them was asked for is decided here. */
class Output {
  readonly #options: InspectOptions;
  readonly #file: { readonly descriptor: number; readonly path: string } | null;
  readonly #isCaptureOnStdout: boolean;
  readonly #paint = paintFor(process.stdout);
  #capture: Capture | null = null;
  #hasBegun = false;
  #missing = 0;
  /** Without what is missing. */
  shown = 0;

  /** Throws `file-not-written` before anything is asked. */
  constructor(options: InspectOptions) {
    this.#options = options;
    const { pcapng: path } = options;
    this.#isCaptureOnStdout = path === '-';
    this.#file =
      path === undefined || path === '-' ? null : { path, descriptor: attempt(path, () => opened(path)) };
  }

  begin(observer: string): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    if (this.#file !== null) emptied(this.#file.descriptor);
    if (this.#options.pcapng !== undefined) {
      this.#capture = new Capture(observer);
      this.#pack(this.#capture.begin(VERSION));
    }
    if (this.#options.json !== true) this.#say(inspectHeading(this.#paint));
  }

  write(item: Inspected): void {
    if ('dropped' in item) {
      this.#missing += item.dropped;
      this.#capture?.missing(item.dropped);
    } else {
      this.shown += 1;
      if (this.#capture !== null) this.#pack(this.#capture.packet(item));
    }
    const columns = process.stdout.isTTY === true ? process.stdout.columns : null;
    this.#say(this.#options.json === true ? inspectJson(item) : inspectLine(item, this.#paint, columns));
  }

  end(): void {
    if (this.#capture !== null) this.#pack(this.#capture.end());
    if (this.#file !== null) closeSync(this.#file.descriptor);
    if (!this.#hasBegun || this.#options.json === true) return;
    const where = this.#capture === null ? '' : `, ${this.#capture.packets} packets written`;
    process.stderr.write(`${this.shown} shown, ${this.#missing} missing${where}\n`);
  }

  #say(line: string): void {
    if (!this.#isCaptureOnStdout) process.stdout.write(`${line}\n`);
  }

  #pack(bytes: Buffer): void {
    const file = this.#file;
    if (file === null) process.stdout.write(bytes);
    else attempt(file.path, () => writeAll(file.descriptor, bytes));
  }
}

/** What is in it stays until there is something to write: a typing error in a filter must not cost an older capture. */
const opened = (path: string): number => openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);

/** A pipe, as Wireshark reads from, has nothing to cut off. */
function emptied(descriptor: number): void {
  if (fstatSync(descriptor).isFile()) ftruncateSync(descriptor);
}

/** A disk may take less than it is given. */
function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

function attempt<Result>(path: string, act: () => Result): Result {
  try {
    return act();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new QuorateError('file-not-written', `--pcapng ${path}: ${why}`, { cause });
  }
}

/** Given twice, or with commas: the same. */
function parseNames(value: string, before: readonly string[]): string[] {
  const names = value.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('names, with commas between them');
  return [...before, ...names];
}

function parseTime(value: string): number {
  const parsed = parseDuration(value, { minMs: 0.001, maxMs: LONGEST_MS });
  if (!parsed.ok)
    throw new InvalidArgumentError(`${parsed.why}${parsed.hint === null ? '' : `: ${parsed.hint}`}`);
  return parsed.value;
}

function parseCount(value: string): number {
  const count = Number(value);
  if (!Number.isSafeInteger(count) || count < 1 || count > MOST_COUNT)
    throw new InvalidArgumentError(`a whole number from 1 to ${MOST_COUNT}`);
  return count;
}
