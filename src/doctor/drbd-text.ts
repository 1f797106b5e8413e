/**
 * DRBD's own notation, as `drbdadm dump` and `drbdsetup show` print it: statements that end in ";" and blocks in braces,
 * one inside the other. Read whole or not at all: of a text that is cut off nothing is believed.
 */
export interface Block {
  /** "resource", "net", "on", … */
  readonly type: string;
  /** What stands between it and the brace: a name, a number. */
  readonly name: string;
  /** Words behind the first one of a statement, by the first one. The later of two counts. */
  readonly values: ReadonlyMap<string, string>;
  readonly blocks: readonly Block[];
}

const MAX_TEXT = 256 * 1024;
const MAX_DEPTH = 16;
/** A quoted text, a brace, a semicolon, or a word; comments are taken out before. */
const TOKEN = /"((?:[^"\\]|\\.)*)"|([{};])|([^\s"{};]+)/g;

/** The nameless block that holds everything; null for what is not such a text. */
export function parseDrbdText(text: string): Block | null {
  if (text.length > MAX_TEXT) return null;
  const plain = text.replaceAll(/("(?:[^"\\\n]|\\.)*")|#[^\n]*/g, '$1');
  const tokens: Token[] = [];
  let end = 0;
  for (const match of plain.matchAll(TOKEN)) {
    // What lies between two tokens may only be space: an open quote is not.
    if (plain.slice(end, match.index).trim() !== '') return null;
    end = match.index + match[0].length;
    const [, quoted, sign, word] = match;
    tokens.push(
      sign === undefined ? { kind: 'word', text: quoted ?? word ?? '' } : { kind: sign as '{' | '}' | ';' },
    );
  }
  if (plain.slice(end).trim() !== '') return null;
  const reader = { tokens, at: 0 };
  const root = readBlock(reader, '', '', 0);
  return root === null || reader.at < tokens.length ? null : root;
}

type Token = { readonly kind: 'word'; readonly text: string } | { readonly kind: '{' | '}' | ';' };

function readBlock(
  reader: { readonly tokens: readonly Token[]; at: number },
  type: string,
  name: string,
  depth: number,
): Block | null {
  if (depth > MAX_DEPTH) return null;
  const values = new Map<string, string>();
  const blocks: Block[] = [];
  let line: string[] = [];
  for (;;) {
    const token = reader.tokens[reader.at];
    if (token === undefined) return depth === 0 && line.length === 0 ? { type, name, values, blocks } : null;
    reader.at += 1;
    if (token.kind === 'word') {
      line.push(token.text);
      continue;
    }
    if (token.kind === '}') return depth > 0 && line.length === 0 ? { type, name, values, blocks } : null;
    const [first, ...rest] = line;
    line = [];
    if (first === undefined) {
      // "};" is written by some.
      if (token.kind === ';') continue;
      return null;
    }
    if (token.kind === ';') values.set(first, rest.join(' '));
    else {
      const block = readBlock(reader, first, rest.join(' '), depth + 1);
      if (block === null) return null;
      blocks.push(block);
    }
  }
}

export function blocksOf(block: Block, type: string): readonly Block[] {
  return block.blocks.filter((one) => one.type === type);
}

/** Of a key anywhere inside: 8.4 has `fencing` under "disk" of a volume, 9 under "net" of a connection. */
export function valuesOf(block: Block, key: string): readonly string[] {
  const here = block.values.get(key);
  return [...(here === undefined ? [] : [here]), ...block.blocks.flatMap((inner) => valuesOf(inner, key))];
}
