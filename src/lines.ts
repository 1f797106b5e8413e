/** Newline-delimited texts on a stream, bounded: a longer line ends the connection. */
import type { Readable } from 'node:stream';

export const MAX_LINE_BYTES = 64 * 1024;

export interface LineHandlers {
  onLine(line: string): void;
  onTooLong(): void;
}

/** `limit` in UTF-16 units. */
export function readLines(stream: Readable, handlers: LineHandlers, limit = MAX_LINE_BYTES): void {
  stream.setEncoding('utf8');
  stream.on(
    'data',
    splitLines(handlers, limit, () => !stream.destroyed),
  );
}

/** For texts as they come in. Once `goesOn` says no, nothing more of the text is read. */
export function splitLines(
  { onLine, onTooLong }: LineHandlers,
  limit = MAX_LINE_BYTES,
  goesOn: () => boolean = () => true,
): (text: string) => void {
  let rest = '';
  return (text) => {
    rest += text;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (line.length > limit) return onTooLong();
      onLine(line);
      if (!goesOn()) return;
    }
    if (rest.length > limit) onTooLong();
  };
}
