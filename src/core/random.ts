/** A small seeded generator (Mulberry32 over an FNV-1a seed): election windows need spread, not secrecy. */
export type Random = () => number;

export function seededRandom(seed: number, id: string): Random {
  let state = 0x811c9dc5 ^ seed;
  for (const character of id) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
