/**
 * Seeded randomness in named streams. Each consumer (ids, request ids, every fault rule) draws from its own
 * stream, so the same seed and the same order of calls give the same ids and faults, whatever else is switched on.
 */
export class RandomStream {
  readonly #state: Uint32Array;

  constructor(seed: number, name: string) {
    this.#state = Uint32Array.from([hash(`${name}/a`, seed), hash(`${name}/b`, seed), hash(name, ~seed), 1]);
    for (let round = 0; round < 15; round++) this.#word();
  }

  /** In [0, 1). */
  next(): number {
    return this.#word() / 2 ** 32;
  }

  /** Lower-case hexadecimal digits. */
  hex(digits: number): string {
    let text = '';
    while (text.length < digits) text += this.#word().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  }

  uuid(): string {
    const h = this.hex(32);
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-a${h.slice(17, 20)}-${h.slice(20)}`;
  }

  /** One step of sfc32: small, fast, and its 128 bits of state cannot cycle within a test. */
  #word(): number {
    const s = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = s;
    const result = (a + b + d) >>> 0;
    s[0] = b ^ (b >>> 9);
    s[1] = c + (c << 3);
    s[2] = ((c << 21) | (c >>> 11)) + result;
    s[3] = d + 1;
    return result;
  }
}

/** FNV-1a over the name, started from the seed. */
function hash(name: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (let at = 0; at < name.length; at++) value = Math.imul(value ^ name.charCodeAt(at), 0x01000193) >>> 0;
  return value;
}
