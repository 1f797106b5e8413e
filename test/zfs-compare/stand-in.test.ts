/** The model of ZFS, and the stand-in for its command, by the comparer that holds both against real ZFS in the lab. */
import { describe, expect, it } from 'vitest';
import { compare, inLines } from '../../cluster/zfs-compare/index.ts';
import { byShell, type Compared, inProcess } from '../replication/support/compared.ts';

/** More: COMPARED_STEPS. */
const STEPS = Number(process.env.COMPARED_STEPS ?? 150);
const SEED = Number(process.env.COMPARED_SEED ?? 1);
const SHELL_STEPS = 12;
const STEPS_OF_ONE = 60;
const LIMIT_MS = 120_000 + STEPS * 2_000;

async function compared(made: Compared, steps: number) {
  const words: string[] = [];
  try {
    const options = { seed: SEED, steps, stepsOfOne: STEPS_OF_ONE, maxDifferences: 1 };
    const result = await compare(made.subject, { ...options, onStep: (_done, one) => words.push(one) });
    return { ...result, words };
  } finally {
    made.remove();
  }
}

describe('the stand-in', () => {
  it(
    `does what the model does (${STEPS} steps)`,
    async () => {
      const result = await compared(await inProcess(), STEPS);
      expect(result.differences, inLines(result).join('\n')).toEqual([]);
      expect(result.steps).toBe(STEPS);
      if (STEPS >= STEPS_OF_ONE) expect(result.contents).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );

  it(
    'is asked by scripts as a guest is, for the same',
    async () => {
      const result = await compared(await byShell(), SHELL_STEPS);
      expect(result.differences, inLines(result).join('\n')).toEqual([]);
      expect(result.words.some((one) => one.includes('| zfs receive'))).toBe(true);
      expect(result.contents).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});

describe('a difference is found', () => {
  const dataset = (line: string) => line.split('\t')[0] ?? '';
  it.each([
    [
      'a dataset that is not listed',
      (line: string) => (dataset(line) === 'tank/b' ? [] : [line]),
      /in the model only/,
    ],
    [
      'a snapshot under another name',
      (line: string) => [line.replace('tank/a@s0', 'tank/a@s9')],
      /snapshots: @s0 in the model, @s9 in fact/,
    ],
    [
      'another GUID',
      (line: string) => [dataset(line) === 'tank/b@s0' ? line.replace(/\t\d{10,}\t/, '\t4711\t') : line],
      // It is seen for the first time with this step, so any GUID would do but that of something else.
      null,
    ],
    [
      'the GUID of another one',
      (line: string, all: string) => {
        const guid = /^tank\/a@s0\t\S+\t(\d+)/m.exec(all)?.[1];
        return [dataset(line) === 'tank/b@s0' ? line.replace(/\t\d{10,}\t/, `\t${guid}\t`) : line];
      },
      /tank\/b: the GUID of @s0 is another one/,
    ],
    [
      'a line that the product does not understand',
      (line: string) => [`${line}\tmore`],
      /does not understand/,
    ],
    [
      'readonly',
      (line: string) => [line.replace('\toff\toff\t', '\toff\ton\t')],
      /readonly: off in the model, on/,
    ],
  ])('%s', async (_name, spoil, expected) => {
    const made = await inProcess((words, said) =>
      words[1] !== 'list'
        ? said
        : said
            .split('\n')
            .flatMap((line) => (line === '' ? [''] : spoil(line, said)))
            .join('\n'),
    );
    // All that both sides begin with, and nothing that is drawn.
    const { differences } = await compared(made, 6);
    if (expected === null) expect(differences).toEqual([]);
    else expect(differences[0]?.found.join('\n')).toMatch(expected);
  });

  it('another answer', async () => {
    const made = await inProcess();
    const { subject } = made;
    const refusing: typeof subject = {
      pools: subject.pools,
      begin: () => subject.begin(),
      look: (side) => subject.look(side),
      contents: (side, snapshots) => subject.contents(side, snapshots),
      perform: async (side, work) => {
        const done = await subject.perform(side, work);
        if (work.kind !== 'write') return done;
        return { ...done, answer: { ...done.answer, ran: { code: 1, said: 'cannot: dataset is busy' } } };
      },
    };
    const { differences } = await compared({ subject: refusing, remove: () => made.remove() }, 6);
    expect(differences[0]).toMatchObject({
      words: 'a: write into tank/a',
      found: ['done by the model, refused by the command (something) in fact'],
      said: 'cannot: dataset is busy',
    });
  });
});
