/** What a pool is, as far as the product reads it: from the model, and from what ZFS's commands print, by the product's own parser. */
import {
  type Dataset,
  ListTextError,
  type PoolTexts,
  parsePool,
  readResumeToken,
} from '../../src/replication/index.ts';
import type { ModelPool } from '../zfs-model/index.ts';
import { PROPERTIES } from './step.ts';

/** What the commands printed about one pool. */
export interface Listing {
  readonly texts: PoolTexts;
  /** `zfs holds -H` of all that are held. */
  readonly holds: string;
  /** `zfs get -H -p -r -t filesystem,volume -o name,property,value,source` of `PROPERTIES`. */
  readonly properties: string;
}

export interface DatasetView {
  /** Those that are the same on both sides of a comparison, word for word. */
  readonly plain: Readonly<Record<string, string>>;
  /** Those that stand for the same thing, by what they are. */
  readonly guids: Readonly<Record<string, string>>;
}

export type PoolView = ReadonlyMap<string, DatasetView>;

export const GET_COLUMNS = ['name', 'property', 'value', 'source'] as const;

/** As the commands would print it. */
export function listingOf(pool: ModelPool): Listing {
  const datasets = [...pool.datasets.values()];
  const line = (cells: readonly string[]): string => `${cells.join('\t')}\n`;
  return {
    texts: pool.texts(),
    holds: datasets
      .flatMap(({ name, snapshots }) =>
        snapshots.flatMap((one) =>
          (one.tags ?? []).map((tag) => line([`${name}@${one.name}`, tag, 'Sat Nov 28 6:00 2026'])),
        ),
      )
      .join(''),
    properties: datasets
      .flatMap(({ name }) =>
        PROPERTIES.map((property) => line([name, property, ...pool.property(name, property)])),
      )
      .join(''),
  };
}

/** Throws `ListTextError` where the product does not understand what was printed. */
export function viewOf(pool: string, { texts, holds, properties }: Listing): PoolView {
  const tags = grouped(rows(holds, 3), ([name = '', tag = '']) => [name, tag]);
  const own = grouped(rows(properties, GET_COLUMNS.length), ([name = '', property, value, source]) => [
    name,
    `${property}=${value} (${source})`,
  ]);
  const { datasets } = parsePool(pool, texts);
  return new Map(datasets.map((one) => [one.name, datasetView(one, tags, own.get(one.name) ?? [])]));
}

function datasetView(
  one: Dataset,
  tags: ReadonlyMap<string, readonly string[]>,
  properties: readonly string[],
): DatasetView {
  const { name, snapshots, bookmarks, resume } = one;
  const marks = bookmarks.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  // What a new file system weighs of itself is no change.
  const hasPast = snapshots.length > 0 || one.origin !== null;
  return {
    plain: {
      kind: one.kind,
      readonly: one.isReadonly ? 'on' : 'off',
      'quorate:replicate': one.wish ?? '-',
      origin: one.origin ?? '-',
      'written since the newest snapshot':
        !hasPast || one.written === null ? 'not looked at' : one.written > 0 ? 'yes' : 'no',
      receive_resume_token:
        resume === null ? '-' : resume.stream === null ? 'not understood' : `of ${resume.stream.toName}`,
      snapshots: snapshots.map((point) => `@${point.name}`).join(' '),
      holds: snapshots
        .flatMap((point) => {
          const own = (tags.get(`${name}@${point.name}`) ?? []).toSorted().join(',');
          return point.holds === 0 && own === '' ? [] : [`@${point.name} ${point.holds} (${own})`];
        })
        .join(', '),
      bookmarks: marks.map((point) => `#${point.name}`).join(' '),
      properties: properties.toSorted().join(', '),
    },
    guids: {
      dataset: one.guid,
      ...Object.fromEntries(snapshots.map((point) => [`@${point.name}`, point.guid])),
      ...Object.fromEntries(bookmarks.map((point) => [`#${point.name}`, point.guid])),
      ...(resume?.stream == null ? {} : { 'what the token goes to': resume.stream.toGuid }),
      ...(resume?.stream?.fromGuid == null ? {} : { 'what the token comes from': resume.stream.fromGuid }),
    },
  };
}

function rows(text: string, columns: number): readonly (readonly string[])[] {
  if (text === '') return [];
  const all = text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.split('\t'));
  const wrong = all.find((cells) => cells.length !== columns);
  if (wrong !== undefined) throw new ListTextError(`not ${columns} columns: ${wrong.join(' ')}`);
  return all;
}

function grouped(
  all: readonly (readonly string[])[],
  pairOf: (cells: readonly string[]) => readonly [string, string],
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [key, value] of all.map(pairOf)) found.set(key, [...(found.get(key) ?? []), value]);
  return found;
}

/** GUIDs of one side are those of the other, one for one, from their first sight on. */
export class SameGuids {
  readonly #there = new Map<string, string>();
  readonly #here = new Map<string, string>();

  /** Whether they may be the same; if nothing speaks against it they are, from now on. */
  areSame(here: string, there: string): boolean {
    const [known, back] = [this.#there.get(here), this.#here.get(there)];
    if (known === undefined && back === undefined) {
      this.#there.set(here, there);
      this.#here.set(there, here);
      return true;
    }
    return known === there && back === here;
  }
}

/** In words; none: they are the same. */
export function differences(model: PoolView, real: PoolView, guids: SameGuids): readonly string[] {
  const found: string[] = [];
  for (const name of new Set([...model.keys(), ...real.keys()])) {
    const [here, there] = [model.get(name), real.get(name)];
    if (here === undefined || there === undefined) {
      found.push(`${name}: ${here === undefined ? 'not in the model' : 'in the model only'}`);
      continue;
    }
    const before = found.length;
    for (const [what, value] of Object.entries(here.plain))
      if (value !== there.plain[what])
        found.push(`${name}: ${what}: ${value} in the model, ${there.plain[what]} in fact`);
    // Where the names differ already the GUIDs say nothing more.
    if (found.length > before) continue;
    const keys = new Set([...Object.keys(here.guids), ...Object.keys(there.guids)]);
    for (const key of keys) {
      const [own, its] = [here.guids[key], there.guids[key]];
      if (own === undefined || its === undefined || !guids.areSame(own, its))
        found.push(`${name}: the GUID of ${key} is another one than in the model`);
    }
  }
  return found;
}

/** For whoever goes on with it. */
export const tokenIn = ({ texts }: Listing, dataset: string): string | null => {
  const cells = texts.datasets.split('\n').map((line) => line.split('\t'));
  const token = cells.find(([name]) => name === dataset)?.at(-2) ?? '-';
  return token === '-' || readResumeToken(token) === null ? null : token;
};
