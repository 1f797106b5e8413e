/** What chrony says and may do: `chronyc -c tracking`, and `maxslewrate` of its config with all that it includes. */
import type { Files } from './context.ts';

/** Rates in ppm, as chrony gives them. */
export interface Tracking {
  /** By which the clock would be wrong if it were not corrected. */
  readonly frequencyPpm: number;
  /** What of it is left, and how far that may be wrong itself. */
  readonly residualPpm: number;
  readonly skewPpm: number;
  /** "Normal", "Not synchronised", … */
  readonly leap: string;
}

/** One line of comma-separated fields, 13 or 14 (4.6): counted from the end. Null for anything else. */
export function parseTracking(text: string): Tracking | null {
  const [line, ...more] = text.trim().split('\n');
  const fields = line?.split(',') ?? [];
  if (more.length > 0 || fields.length < 13 || fields.length > 14) return null;
  const [frequency, residual, skew] = fields.slice(-7, -4).map(Number);
  const leap = fields.at(-1) ?? '';
  const numbers = [frequency, residual, skew];
  if (!numbers.every((value) => value !== undefined && Number.isFinite(value))) return null;
  if (!/^[A-Z][a-z]+( [a-z]+)*$/.test(leap)) return null;
  return { frequencyPpm: frequency ?? 0, residualPpm: residual ?? 0, skewPpm: skew ?? 0, leap };
}

export const CHRONY_FILES = ['/etc/chrony/chrony.conf', '/etc/chrony.conf'] as const;
/** One twelfth: what chronyd does when nobody says otherwise (chrony.conf(5)). */
export const DEFAULT_SLEW_PPM = 83_333.333;
const MAX_FILES = 100;
const MAX_DEPTH = 8;

export type SlewRate =
  | { readonly kind: 'set'; readonly ppm: number; readonly file: string }
  | { readonly kind: 'default'; readonly ppm: number; readonly file: string }
  /** No config file where it usually is. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly why: string };

/** What the files say: chronyd reads them at start, and the last word counts. */
export async function readSlewRate(files: Files): Promise<SlewRate> {
  for (const file of CHRONY_FILES) {
    const text = await files.read(file);
    if (text === null) {
      if ((await files.kindOf(file)) === null) continue;
      return { kind: 'unreadable', why: `${file} cannot be read` };
    }
    const reader = new Reader(files);
    await reader.take(file, text, 0);
    if (reader.problem !== null) return { kind: 'unreadable', why: reader.problem };
    return reader.last ?? { kind: 'default', ppm: DEFAULT_SLEW_PPM, file };
  }
  return { kind: 'absent' };
}

class Reader {
  readonly #files: Files;
  #count = 0;
  last: SlewRate | null = null;
  problem: string | null = null;

  constructor(files: Files) {
    this.#files = files;
  }

  async take(file: string, text: string, depth: number): Promise<void> {
    this.#count += 1;
    if (depth > MAX_DEPTH || this.#count > MAX_FILES) {
      this.problem ??= `${file} includes too many files`;
      return;
    }
    for (const line of text.split('\n')) await this.#line(file, line, depth);
  }

  async #line(file: string, line: string, depth: number): Promise<void> {
    const [directive = '', ...values] = line.trim().split(/\s+/);
    // A comment begins with one of these; there are none behind a directive.
    if (directive === '' || /^[!;#%]/.test(directive)) return;
    switch (directive.toLowerCase()) {
      case 'maxslewrate': {
        const ppm = Number(values[0]);
        if (values.length === 1 && Number.isFinite(ppm) && ppm > 0) this.last = { kind: 'set', ppm, file };
        else this.problem ??= `${file}: "${line.trim().slice(0, 60)}" is no rate`;
        return;
      }
      case 'confdir':
        return this.#directories(values, depth);
      case 'include':
        return this.#include(values[0] ?? '', depth);
      default:
        return;
    }
  }

  /** Of files with the same name only the one of the first directory counts; in the order of the names. */
  async #directories(directories: readonly string[], depth: number): Promise<void> {
    const found = new Map<string, string>();
    for (const directory of directories) {
      for (const name of (await this.#files.list(directory)) ?? [])
        if (name.endsWith('.conf') && !found.has(name)) found.set(name, `${directory}/${name}`);
    }
    for (const [, path] of [...found].sort(([left], [right]) => (left < right ? -1 : 1)))
      await this.#read(path, depth);
  }

  async #include(pattern: string, depth: number): Promise<void> {
    const at = pattern.lastIndexOf('/');
    const [directory, name] = [pattern.slice(0, at), pattern.slice(at + 1)];
    if (!/[*?[]/.test(pattern)) return this.#read(pattern, depth);
    if (/[*?[]/.test(directory) || /[?[]/.test(name)) {
      this.problem ??= `"include ${pattern}" is not understood here`;
      return;
    }
    const parts = name.split('*').map((part) => part.replaceAll(/[.+^${}()|\\]/g, '\\$&'));
    const matcher = new RegExp(`^${parts.join('.*')}$`);
    const names = (await this.#files.list(directory)) ?? [];
    for (const one of names.filter((each) => matcher.test(each)).toSorted())
      await this.#read(`${directory}/${one}`, depth);
  }

  async #read(path: string, depth: number): Promise<void> {
    const text = await this.#files.read(path);
    if (text === null) this.problem ??= `${path} cannot be read`;
    else await this.take(path, text, depth + 1);
  }
}
