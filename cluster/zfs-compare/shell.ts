/**
 * Pools that are reached by a shell: a step and the look after it are one script, because a guest that is emulated takes its time for each
 * call. What it prints is in parts, each between a line "@@@ NAME" and, after a line break of its own, a line "@@@ rc N".
 */
import { assertNever } from '../../src/core/index.ts';
import { READ_COMMANDS } from '../../src/replication/index.ts';
import { GET_COLUMNS, type Listing } from './listing.ts';
import { type Cut, type PoolNames, PROPERTIES, type Side, type Work } from './step.ts';
import type { Answer, Ran, Subject } from './subject.ts';

export interface ShellOptions {
  readonly pools: PoolNames;
  /** Runs a script of bash, resolves with all that it prints. */
  readonly run: (script: string) => Promise<string>;
  /** Before each script: functions `zfs_a`, `zfs_b`, `zpool_a`, `zpool_b`, `write_into SIDE DATASET TEXT`, `read_of SIDE SNAPSHOT`. */
  readonly prologue: string;
  /** Makes two new pools, in place of those that were there. */
  readonly renew: string;
  /** For streams. */
  readonly folder: string;
  /** Bytes that are left away so that the end of a stream does not arrive: of one, of the last of a run. */
  readonly endBytes: { readonly one: number; readonly run: number };
}

/** Of a stream's first bytes less says nothing: with what it begins, its first record. */
const LEAST_BYTES = 2_048;

export class ShellSubject implements Subject {
  readonly #options: ShellOptions;
  readonly #status = new Map<Side, Pick<Listing['texts'], 'pool' | 'status'>>();

  constructor(options: ShellOptions) {
    this.#options = options;
  }

  get pools(): PoolNames {
    return this.#options.pools;
  }

  async begin(): Promise<void> {
    const parts = await this.#parts(
      `${part('renew', this.#options.renew)}${this.#ofPool('a')}${this.#ofPool('b')}`,
    );
    must(parts, 'renew');
    for (const side of ['a', 'b'] as const)
      this.#status.set(side, { pool: must(parts, `pool ${side}`), status: must(parts, `status ${side}`) });
  }

  #ofPool(side: Side): string {
    const pool = this.pools[side];
    return (
      part(`pool ${side}`, on(side, READ_COMMANDS.pool(pool))) +
      part(`status ${side}`, on(side, READ_COMMANDS.status(pool)))
    );
  }

  async perform(side: Side, work: Work): Promise<{ readonly answer: Answer; readonly listing: Listing }> {
    const parts = await this.#parts(this.#scriptOf(side, work) + this.#lookOf(side));
    const of = (name: string): Ran | null => parts.get(name) ?? null;
    const answer = { ran: of('ran'), sent: of('sent'), received: of('received') };
    return { answer, listing: this.#listingIn(side, parts) };
  }

  async look(side: Side): Promise<Listing> {
    return this.#listingIn(side, await this.#parts(this.#lookOf(side)));
  }

  async contents(side: Side, snapshots: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const script = snapshots
      .map((name) => part(`content ${name}`, `read_of ${side} ${quoted(name)}`))
      .join('');
    const parts = await this.#parts(script);
    return new Map(snapshots.map((name) => [name, must(parts, `content ${name}`)]));
  }

  #scriptOf(side: Side, work: Work): string {
    switch (work.kind) {
      case 'command':
        return part('ran', on(side, ['zfs', ...work.words]));
      case 'write':
        return part('ran', `write_into ${side} ${quoted(work.dataset)} ${quoted(work.text)}`);
      case 'stream':
        return this.#streamOf(side, work);
      case 'nothing':
        return '';
      default:
        return assertNever(work);
    }
  }

  #streamOf(side: Side, { send, cut, receive }: Extract<Work, { kind: 'stream' }>): string {
    const file = quoted(`${this.#options.folder}/stream`);
    const from = side === 'a' ? 'b' : 'a';
    const lost = send.includes('-I') ? this.#options.endBytes.run : this.#options.endBytes.one;
    const sent = part('sent', `${on(from, ['zfs', ...send])} >${file}`);
    const received = part('received', `${onlyPart(file, cut, lost)} | ${on(side, ['zfs', ...receive])}`);
    return `${sent}if [ $rc = 0 ]; then\n${received}fi\n`;
  }

  /** Holds are asked for only where there are any. */
  #lookOf(side: Side): string {
    const pool = this.pools[side];
    const get = ['zfs', 'get', '-H', '-p', '-r', '-t', 'filesystem,volume', '-o', GET_COLUMNS.join(',')];
    return [
      part('datasets', on(side, READ_COMMANDS.datasets(pool))),
      `points=$(${on(side, READ_COMMANDS.points(pool))}); rc=$?\n`,
      `printf '@@@ points\\n'; [ -z "$points" ] || printf '%s\\n' "$points"; printf '\\n@@@ rc %s\\n' $rc\n`,
      `held=; while IFS='\t' read -r name type guid txg written refs; do case $refs in '' | 0 | -) ;; *) held="$held $name" ;; esac; done <<<"$points"\n`,
      `if [ -n "$held" ]; then\n${part('holds', `zfs_${side} holds -H $held`)}fi\n`,
      part('properties', on(side, [...get, PROPERTIES.join(','), pool])),
    ].join('');
  }

  #listingIn(side: Side, parts: ReadonlyMap<string, Ran>): Listing {
    const status = this.#status.get(side);
    if (status === undefined) throw new Error('looked at before it was begun');
    return {
      texts: { ...status, datasets: must(parts, 'datasets'), points: must(parts, 'points') },
      holds: parts.has('holds') ? must(parts, 'holds') : '',
      properties: must(parts, 'properties'),
    };
  }

  async #parts(script: string): Promise<ReadonlyMap<string, Ran>> {
    return partsOf(await this.#options.run(`${this.#options.prologue}\n${script}`));
  }
}

/** What a shell must not read anything into. Pure. */
const quoted = (word: string): string =>
  // A word that begins with # is a comment.
  /^[A-Za-z0-9_./:=@,+-][A-Za-z0-9_./:=@#,+-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

const on = (side: Side, [program = '', ...words]: readonly string[]): string =>
  [`${program}_${side}`, ...words.map(quoted)].join(' ');

/** Its exit code is in $rc afterwards. */
const part = (name: string, command: string): string =>
  `printf '@@@ %s\\n' ${quoted(name)}\n${command}\nrc=$?\nprintf '\\n@@@ rc %s\\n' $rc\n`;

function onlyPart(file: string, cut: Cut, endBytes: number): string {
  const withoutEnd = `head -c -${endBytes} ${file}`;
  switch (cut) {
    case 'no':
      return `cat ${file}`;
    case 'end':
      return withoutEnd;
    case 'middle':
      return `{ half=$(($(stat -c %s ${file}) / 2)); if [ $half -ge ${LEAST_BYTES} ]; then head -c $half ${file}; else ${withoutEnd}; fi; }`;
    default:
      return assertNever(cut);
  }
}

function partsOf(text: string): ReadonlyMap<string, Ran> {
  const parts = new Map<string, Ran>();
  for (const [, name = '', said = '', code] of text.matchAll(/^@@@ (?!rc )(.+)\n([\s\S]*?)\n@@@ rc (\d+)$/gm))
    parts.set(name, { code: Number(code), said });
  return parts;
}

function must(parts: ReadonlyMap<string, Ran>, name: string): string {
  const found = parts.get(name);
  if (found === undefined)
    throw new Error(`nothing was said of "${name}"; there are ${[...parts.keys()].join(', ')}`);
  if (found.code !== 0)
    throw new Error(`"${name}" ended with code ${found.code}: ${found.said.slice(0, 500)}`);
  return found.said;
}
