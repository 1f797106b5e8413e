/** What is drawn: on the model alone. */
import { expect, it } from 'vitest';
import { Chance } from '../../cluster/zfs-compare/chance.ts';
import { BEGINNING, drawStep } from '../../cluster/zfs-compare/draw.ts';
import { performOnModel } from '../../cluster/zfs-compare/on-model.ts';
import { inWords } from '../../cluster/zfs-compare/step.ts';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { seededRandom } from '../../src/core/index.ts';

const NAMES = { a: 'model-a', b: 'model-b' } as const;
const HISTORIES = 40;
const STEPS_OF_ONE = 60;

/** "send done", "a: zfs create …". */
function drawn(seed: number): { readonly kinds: readonly string[]; readonly words: readonly string[] } {
  const random = new Chance(seededRandom(seed, 'draw'));
  const [kinds, words]: [string[], string[]] = [[], []];
  for (let history = 0; history < HISTORIES; history += 1) {
    const guids = new Guids();
    const pools = { a: new ModelPool(NAMES.a, guids), b: new ModelPool(NAMES.b, guids) };
    for (let at = 0; at < STEPS_OF_ONE; at += 1) {
      const step = BEGINNING[at] ?? drawStep(pools, random, at);
      words.push(inWords(step, NAMES));
      kinds.push(`${step.kind} ${performOnModel(pools, step).kind}`);
    }
  }
  return { kinds, words };
}

it('is the same for the same seed, and another one for another', () => {
  const [one, again, other] = [drawn(7), drawn(7), drawn(8)];
  expect(again).toEqual(one);
  expect(other.words).not.toEqual(one.words);
});

it('is all that there is, taken and refused', () => {
  const counts = new Map<string, number>();
  const { kinds, words } = drawn(1);
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const simple = [
    'create',
    'destroy',
    'write',
    'snapshot',
    'snapshot-below',
    'destroy-snapshots',
    'hold',
    'release',
  ];
  const points = [
    'bookmark',
    'destroy-bookmark',
    'rename-snapshot',
    'rename',
    'rollback',
    'clone',
    'promote',
  ];
  for (const kind of [...simple, ...points, 'set', 'inherit', 'send', 'resume', 'abandon'])
    for (const outcome of ['done', 'refused'])
      expect(counts.has(`${kind} ${outcome}`), `${kind} ${outcome}`).toBe(true);
  // Of the streams most arrive: what is refused is not what takes the time in a guest.
  expect((counts.get('send done') ?? 0) / kinds.length).toBeGreaterThan(0.06);
  for (const form of [
    'send -i @',
    'send -i #',
    'send -I @',
    'cut in its middle',
    'cut in its end',
    'send -t',
  ])
    expect(
      words.some((one) => one.includes(form)),
      form,
    ).toBe(true);
});
