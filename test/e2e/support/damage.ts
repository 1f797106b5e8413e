/** What a bad disk does. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function flipByte(file: string, offset: number): void {
  const bytes = readFileSync(file);
  const byte = bytes[offset];
  if (byte === undefined) throw new RangeError(`${file} has no byte ${offset}`);
  bytes[offset] = byte ^ 0x01;
  writeFileSync(file, bytes);
}

/** Flips one byte of a text in LevelDB's write-ahead log: of its first or last occurrence, or of every one. */
export function flipLogByte(
  dataDir: string,
  text: string,
  which: 'first' | 'last' | 'every' = 'first',
): void {
  const level = join(dataDir, 'level');
  const places = readdirSync(level)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .flatMap((name) => occurrences(join(level, name), text));
  if (places.length === 0) throw new Error(`no ${text} in the write-ahead log of ${level}`);
  const chosen = which === 'every' ? places : which === 'first' ? places.slice(0, 1) : places.slice(-1);
  for (const { file, offset } of chosen) flipByte(file, offset);
}

function occurrences(file: string, text: string): { file: string; offset: number }[] {
  const bytes = readFileSync(file);
  const found: { file: string; offset: number }[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    // Not the first byte: what is hurt is the record, not the search for it.
    found.push({ file, offset: at + 1 });
  }
  return found;
}
