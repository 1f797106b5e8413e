/** What a copy says of itself: only what was looked for, and what cannot be read is unknown. */
import { describe, expect, it } from 'vitest';
import { markComplete, parseCopyWords, readCopyWords } from '../../../src/replication/roles/complete.ts';
import type { CommandResult } from '../../../src/resources/index.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';

const named = (dataset: string, guid: string) => ({ dataset, name: 'p7', guid: guid as never });
const exited = (stdout: string, code = 0): CommandResult => ({
  kind: 'exited',
  code,
  stdout,
  stderr: 'no\n',
});

const MARKS = 'zfs get -H -o name,source quorate:left-out';

function host(answer: (line: string) => CommandResult) {
  const calls: string[] = [];
  const run = async (command: readonly string[]) => {
    const line = command.join(' ');
    calls.push(line);
    // Nothing is marked (left-out.test.ts).
    if (line.startsWith(MARKS))
      return exited(
        command
          .slice(6)
          .map((name) => `${name}\t-\n`)
          .join(''),
      );
    return answer(line);
  };
  const parts = { commands: { run }, clock: new VirtualClock(), signal: new AbortController().signal };
  return { calls, parts };
}

describe('a round that has arrived whole', () => {
  const snapshots = [named('tank/a', '11'), named('tank/b', '12')];
  const listed = 'tank/a@p7\t11\t1790000060\ntank/b@p7\t12\t1790000000\n';

  it('is written down with its oldest time, after everything was seen; then no tail here is a tenure’s', async () => {
    const { calls, parts } = host((line) => exited(line.startsWith('zfs list') ? listed : ''));
    await markComplete('tank', { epoch: 20, snapshots, isFinal: true }, parts);
    expect(calls).toEqual([
      'zfs list -H -p -t snapshot -o name,guid,creation tank/a@p7 tank/b@p7',
      `${MARKS} tank/a tank/b`,
      'zfs inherit quorate:written tank',
      'zfs set quorate:complete=1:20:1790000000:final:p7 quorate:complete-of=11:tank/a tank',
    ]);
  });

  describe('and is older than what is written down already', () => {
    const now = (complete: string, source = 'local') =>
      `quorate:complete\t${complete}\t${source}\nquorate:written\t-\t-\nquorate:complete-of\t11:tank/a\t${source}\n`;
    const points = (written: string, ordered: string) => `tank/a@p9\t${written}\ntank/a@p7\t${ordered}\n`;
    async function changes(
      said: string,
      of: CommandResult,
      order: { isFinal?: boolean; epoch?: number } = {},
    ) {
      const { calls, parts } = host((line) => {
        if (line.startsWith('zfs get')) return exited(said);
        if (line.includes('createtxg')) return of;
        return exited(line.startsWith('zfs list') ? listed : '');
      });
      await markComplete('tank', { epoch: 20, snapshots, isFinal: false, ...order }, parts);
      return calls.filter((call) => !/^zfs (list|get)/.test(call)).length;
    }
    const newer = exited(points('11\t900', '11\t800'));

    it('is no word: of one tenure it never goes back, whoever was started anew', async () => {
      expect(await changes(now('1:20:1790000099:running:p9'), newer)).toBe(0);
      expect(await changes(now('1:20:1790000099:final:p9'), newer)).toBe(0);
    });

    it.each([
      ['it is newer', now('1:20:1790000099:running:p9'), exited(points('11\t800', '11\t900'))],
      ['it is the same', now('1:20:1790000099:running:p7'), newer],
      ['that word is of an earlier tenure', now('1:19:1790000099:running:p9'), newer],
      ['that word came with a stream', now('1:20:1790000099:running:p9', 'received'), newer],
      [
        'that snapshot is another one',
        now('1:20:1790000099:running:p9'),
        exited(points('12\t900', '11\t800')),
      ],
      ['that snapshot is not there any more', now('1:20:1790000099:running:p9'), exited('', 1)],
      ['that word is not understood', now('soon'), newer],
      ['there is none', now('-', '-'), newer],
    ])('but where %s', async (_, said, of) => {
      expect(await changes(said, of)).toBe(2);
    });

    it('but where it is the last one of a planned release', async () => {
      expect(await changes(now('1:20:1790000099:running:p9'), newer, { isFinal: true })).toBe(2);
    });

    it('and nothing is changed where that cannot be found out', async () => {
      const late = { kind: 'timed-out', limitMs: 1 } as const;
      await expect(changes(now('1:20:1790000099:running:p9'), late)).rejects.toMatchObject({
        code: 'command-timed-out',
      });
    });
  });

  it.each([
    ['one has another id', listed.replace('\t12\t', '\t13\t')],
    ['one is missing', listed.split('\n')[0] ?? ''],
    ['nothing was printed', ''],
  ])('is not, where %s', async (_, text) => {
    const { calls, parts } = host(() => exited(text));
    await expect(markComplete('tank', { epoch: 20, snapshots, isFinal: false }, parts)).rejects.toThrow(
      /has not arrived/,
    );
    expect(calls).toHaveLength(1);
  });

  it('nor where the command fails, nor of nothing', async () => {
    const { parts } = host(() => exited('', 1));
    await expect(markComplete('tank', { epoch: 20, snapshots, isFinal: false }, parts)).rejects.toThrow(
      /zfs list/,
    );
    await expect(markComplete('tank', { epoch: 20, snapshots: [], isFinal: true }, parts)).rejects.toThrow(
      /nothing/,
    );
  });
});

describe('the words of a copy', () => {
  const text = (complete: string, written: string, of = '-', source = 'local') =>
    [`complete\t${complete}`, `written\t${written}`, `complete-of\t${of}`]
      .map((line) => `quorate:${line}\t${source}\n`)
      .join('');

  it('are read as they were written', () => {
    expect(parseCopyWords('tank', text('1:20:1790000000:final:p7', '-'))).toEqual({
      ...{ kind: 'read', pool: 'tank', written: null },
      complete: { epoch: 20, snapshot: 'p7', takenAtMs: 1_790_000_000_000, isFinal: true, of: null },
    });
    const of = (value: string) => parseCopyWords('tank', text('1:20:1790000000:final:p7', '-', value));
    expect(of('11:tank/a')).toMatchObject({ complete: { of: { guid: '11', dataset: 'tank/a' } } });
    for (const value of ['-', 'tank/a', '11:other/a', '0:tank/a'])
      expect(of(value)).toMatchObject({ complete: { of: null } });
    expect(parseCopyWords('tank', text('-', '30'))).toMatchObject({ written: 30, complete: null });
  });

  it('are only what was set here: what came with a stream another node has said of itself', () => {
    expect(parseCopyWords('tank', text('1:20:1790000000:final:p7', '30', '11:tank/a', 'received'))).toEqual({
      ...{ kind: 'read', pool: 'tank', written: null, complete: null },
    });
  });

  it.each([
    text('2:20:1790000000:final:p7', '-'),
    text('1:20:1790000000:maybe:p7', '-'),
    text('1:20:final:p7', '-'),
    text('-', 'soon'),
    'quorate:written\t-\t-\n',
    // A line break in a value: which of them it is, nobody knows.
    `${text('1:20:1790000000:final:p7', '30')}quorate:written\t-\tlocal\n`,
    text('1:20:1790000000:final:p7', '30').replace('\tlocal', ''),
    text('1:20:1790000000:final:p7', '30').slice(0, -1),
    '',
  ])('or not at all: %j', (broken) => {
    expect(parseCopyWords('tank', broken)).toBeNull();
  });

  it('H4: of a pool that is away, suspended, or does not answer are unknown, without a command that would hang', async () => {
    const kernel = (state: string | null) => ({
      read: () => {
        if (state !== null) return `${state}\n`;
        throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      },
      has: (path: string) => path === '/sys/module',
    });
    for (const state of [null, 'SUSPENDED', 'WHATEVER']) {
      const { calls, parts } = host(() => exited(''));
      expect((await readCopyWords('tank', { ...parts, kernel: kernel(state) })).kind).toBe('unknown');
      expect(calls).toEqual([]);
    }
    for (const result of [exited('', 1), { kind: 'timed-out', limitMs: 1 } as const, exited('garbage')]) {
      const { parts } = host(() => result);
      expect((await readCopyWords('tank', { ...parts, kernel: kernel('ONLINE') })).kind).toBe('unknown');
    }
  });
});
