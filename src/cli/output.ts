/** Text for terminals: tables, colour, sizes. */

export { humanMs } from '../page/index.ts';

export const TERMINAL_COLUMNS = 80;

export function printJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

export type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';
export type Paint = (colour: Colour, text: string) => string;

const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };

export const plain: Paint = (_colour, text) => text;

/** Colour only where somebody looks at it. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  const isColoured =
    stream.isTTY === true && process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb';
  return isColoured ? (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m` : plain;
}

export interface Cell {
  readonly text: string;
  readonly colour?: Colour;
}

/**
 * Left-aligned columns, two spaces apart, cut to the terminal's width: the last column gives way first, then the
 * widest. Colour does not count.
 */
export function table(rows: readonly (readonly Cell[])[], paint: Paint, width = TERMINAL_COLUMNS): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, cell.text.length);
  const gaps = 2 * (widths.length - 1);
  const last = widths.length - 1;
  const others = widths.slice(0, -1).reduce((sum, one) => sum + one, 0);
  if (last >= 0) widths[last] = Math.min(widths[last] ?? 0, Math.max(8, width - gaps - others));
  while (widths.reduce((sum, one) => sum + one, gaps) > width) {
    const widest = widths.indexOf(Math.max(...widths));
    const present = widths[widest] ?? 0;
    if (present <= 4) break;
    widths[widest] = present - 1;
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const text = clip(cell.text, widths[column] ?? 0);
        const padded = column === row.length - 1 ? text : text.padEnd(widths[column] ?? 0);
        return cell.colour === undefined ? padded : paint(cell.colour, padded);
      })
      .join('  ')
      .trimEnd(),
  );
}

export function clip(text: string, width: number): string {
  const flat = text.replaceAll(/[\r\n\t]+/g, ' ');
  return flat.length <= width ? flat : `${flat.slice(0, Math.max(0, width - 1))}…`;
}

/** At spaces; a word that is longer than the line stays whole, so that it can be copied. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** 512 B, 1.5 MiB, 20 GiB. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${units[power]}`;
}
