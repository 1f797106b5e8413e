/**
 * `disk-mark` in the data directory (D2): what a node whose log began empty knows of whether it has lost its disk. A node
 * that was there at its cluster's beginning never has one.
 *
 * 1. `heard`: the first append that an empty log met. Durable before the first entry is; never changed; removed once it is
 *    known that this node had no vote before.
 * 2. `lost`: it had one. For ever: whatever comes into this directory, this id has forgotten its votes.
 * Replaced atomically, checked by a digest; an unreadable file is an error: it may have said `lost`.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import {
  canonicalJson,
  type LogIndex,
  logIndex,
  type NodeId,
  nodeId,
  type Term,
  term,
} from '../core/index.ts';
import { removeFile, replaceFile } from '../durable-file.ts';
import { QuorateError } from '../errors.ts';
import { withDeadline } from './deadline.ts';
import { sha256 } from './sha256.ts';

/** The first that this node heard of a log. */
export interface FirstAppend {
  readonly from: NodeId;
  readonly term: Term;
  /** The leader's log had entries up to here, at least. */
  readonly end: LogIndex;
  readonly commit: LogIndex;
}

export type DiskMark =
  | { readonly kind: 'heard'; readonly first: FirstAppend }
  /** `from` has sent entry `index`, which gives this node a vote. */
  | { readonly kind: 'lost'; readonly from: NodeId; readonly index: LogIndex };

export interface DiskMarks {
  /** For people: where it is. */
  readonly path: string;
  /** @throws (rejects) QuorateError `disk-mark-unreadable`, `log-format-unknown` */
  read(): Promise<DiskMark | null>;
  /** Resolves when it is durable. @throws (rejects) QuorateError `storage-failed` */
  write(mark: DiskMark): Promise<void>;
  /** Resolves when it is gone for good. @throws (rejects) QuorateError `storage-failed` */
  remove(): Promise<void>;
}

const VERSION = 1;
/** Far more than any mark has. */
const MAX_CHARACTERS = 4096;
/** As long as one write of the log may take. */
const TIMEOUT_MS = 5000;

const wholeNumber = z.number().int().min(0);
const schema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('heard'),
    first: z.strictObject({ from: z.string(), term: wholeNumber, end: wholeNumber, commit: wholeNumber }),
  }),
  z.strictObject({ kind: z.literal('lost'), from: z.string(), index: wholeNumber }),
]);
const envelope = z.strictObject({
  checksum: z.string(),
  body: z.looseObject({ version: wholeNumber }),
});

export function diskMarks(directory: string): DiskMarks {
  const path = join(directory, 'disk-mark');
  return {
    path,
    read: async () => {
      const text = await inTime(path, readIfThere(path));
      return text === null ? null : decodeDiskMark(text, path);
    },
    write: (mark) => inTime(path, replaceFile(path, encodeDiskMark(mark), 'durable')),
    remove: () => inTime(path, removeFile(path)),
  };
}

export function encodeDiskMark(mark: DiskMark): string {
  const body = { version: VERSION, mark };
  return `${canonicalJson({ checksum: sha256(canonicalJson(body)), body })}\n`;
}

/** @throws QuorateError `disk-mark-unreadable`; `log-format-unknown` for an intact mark of another version */
export function decodeDiskMark(text: string, path: string): DiskMark {
  const parsed = envelope.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.checksum !== sha256(canonicalJson(parsed.data.body)))
    throw new QuorateError('disk-mark-unreadable', `${path} has a bad format or checksum`);
  const { version, ...rest } = parsed.data.body;
  const mark = z.strictObject({ mark: schema }).safeParse(rest);
  if (version !== VERSION || !mark.success)
    throw new QuorateError(
      'log-format-unknown',
      `${path} is a mark of version ${version}, this program reads version ${VERSION}`,
    );
  return branded(mark.data.mark);
}

function branded(mark: z.infer<typeof schema>): DiskMark {
  const from = nodeId(mark.kind === 'heard' ? mark.first.from : mark.from);
  if (mark.kind === 'lost') return { kind: 'lost', from, index: logIndex(mark.index) };
  const { first } = mark;
  return {
    kind: 'heard',
    first: { from, term: term(first.term), end: logIndex(first.end), commit: logIndex(first.commit) },
  };
}

function parseJson(text: string): unknown {
  if (text.length > MAX_CHARACTERS) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new QuorateError('disk-mark-unreadable', `${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function inTime<Value>(path: string, operation: Promise<Value>): Promise<Value> {
  try {
    return await withDeadline(
      operation,
      TIMEOUT_MS,
      systemClock,
      () => new QuorateError('storage-failed', `${path} was not read or durable after ${TIMEOUT_MS} ms`),
    );
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    throw new QuorateError('storage-failed', `${path} cannot be written: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
