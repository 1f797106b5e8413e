/** Collects what is wrong with a config file: every problem with its line, in the order of the file. */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter } from 'yaml';

export type Path = readonly (string | number)[];

export interface Problem {
  readonly line: number;
  readonly text: string;
}

export class Problems {
  readonly #found: Problem[] = [];
  readonly #document: Document | null;
  readonly #lines: LineCounter;

  constructor(document: Document | null, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  /** `why` is a sentence without a full stop; `hint` says how to do it right. */
  add(path: Path, why: string, hint: string | null = null): void {
    const where = path.length === 0 ? '' : `${pathText(path)}: `;
    this.addAt(this.#lineOf(path), `${where}${why}${hint === null ? '' : ` (${hint})`}`);
  }

  addAt(line: number, text: string): void {
    if (!this.#found.some((problem) => problem.line === line && problem.text === text))
      this.#found.push({ line, text: text.replaceAll(/\s*\n\s*/g, ' ') });
  }

  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  /** "FILE:LINE: PATH: what (hint)", one line each. */
  render(file: string): string[] {
    const inOrder = this.#found.toSorted((left, right) => left.line - right.line);
    return inOrder.map((problem) => `${file}:${problem.line}: ${problem.text}`);
  }

  /** The line of the deepest node on the path that exists: a missing key is reported at its parent. */
  #lineOf(path: Path): number {
    let node: unknown = this.#document?.contents;
    let offset = startOf(node) ?? 0;
    for (const segment of path) {
      if (isAlias(node) && this.#document !== null) node = node.resolve(this.#document);
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => isScalar(item.key) && String(item.key.value) === String(segment),
        );
        if (pair === undefined) break;
        offset = startOf(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(segment)];
        if (node === undefined) break;
        offset = startOf(node) ?? offset;
      } else break;
    }
    return this.#lines.linePos(offset).line;
  }
}

function startOf(node: unknown): number | null {
  if (typeof node !== 'object' || node === null || !('range' in node)) return null;
  const range: unknown = node.range;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : null;
}

function pathText(path: Path): string {
  return path.reduce<string>(
    (text, segment) =>
      typeof segment === 'number' ? `${text}[${segment}]` : text === '' ? segment : `${text}.${segment}`,
    '',
  );
}
