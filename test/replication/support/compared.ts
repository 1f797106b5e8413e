/** The stand-in for `zfs`, to be compared with the model: in this process but for its streams, or by a shell. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Answer,
  GET_COLUMNS,
  type Listing,
  type PoolNames,
  PROPERTIES,
  type Ran,
  ShellSubject,
  type Side,
  type Subject,
  type Work,
} from '../../../cluster/zfs-compare/index.ts';
import { ZfsRefusal } from '../../../cluster/zfs-model/index.ts';
import { READ_COMMANDS } from '../../../src/replication/index.ts';
import { type StandIn, standIn } from './stand-in.ts';
import { runVerb } from './zfs-verbs.ts';

const POOLS: PoolNames = { a: 'tank', b: 'tank' };
/** Of each stream, so that there is a middle. */
const FILLER_BYTES = 8_192;
/** Of the end of a stream, "\nEND\n". */
const END_BYTES = 3;
const LIMIT_MS = 60_000;

export interface Compared {
  readonly subject: Subject;
  remove(): void;
}

/** Quick: only a stream is two processes. `spoiled`: what a command says is changed on its way, to see that it is noticed. */
export async function inProcess(
  spoiled: (words: readonly string[], said: string) => string = (_words, said) => said,
): Promise<Compared> {
  const made = await standIn();
  return { subject: new StandInSubject(made, spoiled), remove: () => made.remove() };
}

class StandInSubject implements Subject {
  readonly pools = POOLS;
  readonly #made: StandIn;
  readonly #spoiled: (words: readonly string[], said: string) => string;

  constructor(made: StandIn, spoiled: (words: readonly string[], said: string) => string) {
    this.#made = made;
    this.#spoiled = spoiled;
  }

  async begin(): Promise<void> {
    for (const side of ['a', 'b'] as const)
      rmSync(join(this.#made[side].directory, 'state'), { force: true });
  }

  async perform(side: Side, work: Work): Promise<{ readonly answer: Answer; readonly listing: Listing }> {
    const answer = await this.#do(side, work);
    return { answer, listing: await this.look(side) };
  }

  async #do(side: Side, work: Work): Promise<Answer> {
    const none = { ran: null, sent: null, received: null };
    switch (work.kind) {
      case 'command':
        return { ...none, ran: await this.#run(side, work.words) };
      case 'write':
        return { ...none, ran: await this.#run(side, ['write', work.dataset, work.text]) };
      case 'stream': {
        const sender = this.#made[side === 'a' ? 'b' : 'a'].bin;
        const sent = await program(join(sender, 'zfs'), work.send, null);
        if (sent.code !== 0) return { ...none, sent: { code: sent.code, said: sent.stderr } };
        const { length } = sent.stdout;
        const kept = { no: length, middle: Math.floor(length / 2), end: length - END_BYTES }[work.cut];
        const { code, stderr } = await program(
          join(this.#made[side].bin, 'zfs'),
          work.receive,
          sent.stdout.subarray(0, kept),
        );
        return { ...none, sent: { code: 0, said: '' }, received: { code, said: stderr } };
      }
      case 'nothing':
        return none;
    }
  }

  async look(side: Side): Promise<Listing> {
    const pool = POOLS[side];
    const said = async ([program = '', ...words]: readonly string[]): Promise<string> =>
      this.#spoiled([program, ...words], await runVerb(this.#made[side].directory, program, words));
    const texts = {
      pool: await said(READ_COMMANDS.pool(pool)),
      status: await said(READ_COMMANDS.status(pool)),
      datasets: await said(READ_COMMANDS.datasets(pool)),
      points: await said(READ_COMMANDS.points(pool)),
    };
    const held = texts.points.split('\n').flatMap((line) => {
      const [name = '', , , , , holds = '0'] = line.split('\t');
      return ['0', '-'].includes(holds) ? [] : [name];
    });
    const columns = ['-r', '-t', 'filesystem,volume', '-o', GET_COLUMNS.join(',')];
    return {
      texts,
      holds: held.length === 0 ? '' : await said(['zfs', 'holds', '-H', ...held]),
      properties: await said(['zfs', 'get', '-H', '-p', ...columns, PROPERTIES.join(','), pool]),
    };
  }

  /** No command of it says that: from where it keeps it. */
  async contents(side: Side, snapshots: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const all = [...this.#made[side].pool().datasets.values()].flatMap(({ name, snapshots: own }) =>
      own.map((one) => [`${name}@${one.name}`, one.content] as const),
    );
    return new Map(all.filter(([name]) => snapshots.includes(name)));
  }

  async #run(side: Side, words: readonly string[]): Promise<Ran> {
    try {
      const said = await runVerb(this.#made[side].directory, 'zfs', words);
      return { code: 0, said: this.#spoiled(['zfs', ...words], said) };
    } catch (error) {
      if (!(error instanceof ZfsRefusal)) throw error;
      return { code: 1, said: this.#spoiled(['zfs', ...words], error.message) };
    }
  }
}

interface Ended {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function program(file: string, words: readonly string[], input: Buffer | null): Promise<Ended> {
  const env = { ...process.env, STAND_IN_FILLER: String(FILLER_BYTES) };
  return new Promise((resolve, reject) => {
    const options = { env, timeout: LIMIT_MS, encoding: 'buffer' } as const;
    const child = execFile(file, [...words], options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') return reject(error);
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr: stderr.toString('utf8') });
    });
    // What has refused a stream reads no more of it.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? undefined);
  });
}

/** As in a guest: by scripts of bash, which start a process for each command. */
export async function byShell(): Promise<Compared> {
  const made = await standIn();
  const folder = mkdtempSync(join(tmpdir(), 'quorate-compared-'));
  const functions = (['a', 'b'] as const).flatMap((side) => [
    `zfs_${side}() { ${made[side].bin}/zfs "$@"; }`,
    `zpool_${side}() { ${made[side].bin}/zpool "$@"; }`,
  ]);
  const subject = new ShellSubject({
    pools: POOLS,
    folder,
    endBytes: { one: END_BYTES, run: END_BYTES },
    prologue: [
      ...functions,
      'write_into() { "zfs_$1" write "$2" "$3"; }',
      'read_of() { "zfs_$1" read "$2"; }',
      `export STAND_IN_FILLER=${FILLER_BYTES}`,
    ].join('\n'),
    renew: `rm -f ${made.a.directory}/state ${made.b.directory}/state`,
    run: (script) =>
      new Promise((resolve, reject) => {
        execFile('bash', ['-c', `exec 2>&1\n${script}`], { timeout: LIMIT_MS }, (error, stdout) => {
          if (error === null || typeof error.code === 'number') resolve(stdout);
          else reject(error);
        });
      }),
  });
  return {
    subject,
    remove: () => {
      made.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
