/** What all Describe actions share: filters with wildcards, tags, pages. */
import { Ec2Error, invalidCombination, invalidParameterValue } from './ec2-error.ts';
import type { Query } from './query.ts';
import type { Tags } from './world.ts';
import type { Xml } from './xml.ts';

export type FilterFields<Item> = Readonly<
  Record<string, (item: Item) => readonly (string | null | undefined)[]>
>;

/** Filters are and-ed, values of one filter or-ed; values may have `*` and `?`. */
export function applyFilters<Item extends { readonly tags: Tags }>(
  items: Iterable<Item>,
  query: Query,
  fields: FilterFields<Item>,
): Item[] {
  let kept = [...items];
  for (const { name, values } of query.filters()) {
    const field = fields[name] ?? tagField(name);
    if (field === null || !(Object.hasOwn(fields, name) || name.startsWith('tag'))) {
      throw invalidParameterValue(`The filter '${name}' is invalid`);
    }
    const patterns = values.map(wildcard);
    kept = kept.filter((item) =>
      field(item).some((value) => value != null && patterns.some((one) => one.test(value))),
    );
  }
  return kept;
}

function tagField(name: string): ((item: { readonly tags: Tags }) => readonly (string | undefined)[]) | null {
  if (name.startsWith('tag:'))
    return ({ tags }) => (Object.hasOwn(tags, name.slice(4)) ? [tags[name.slice(4)]] : []);
  if (name === 'tag-key') return ({ tags }) => Object.keys(tags);
  if (name === 'tag-value') return ({ tags }) => Object.values(tags);
  return null;
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replaceAll(/[.*+?^${}()|[\]\\]/g, (character) => {
    if (character === '*') return '[^]*';
    return character === '?' ? '[^]' : `\\${character}`;
  });
  return new RegExp(`^${source}$`);
}

export function tagSet(tags: Tags): Xml {
  const entries = Object.entries(tags);
  return entries.length === 0 ? undefined : entries.map(([key, value]) => ({ key, value }));
}

/** Items by the ids asked for, or all; an unknown id is an error, as in EC2. */
export function selectByIds<Item>(
  all: ReadonlyMap<string, Item>,
  ids: readonly string[],
  notFound: (missing: readonly string[]) => Ec2Error,
): Item[] {
  if (ids.length === 0) return [...all.values()];
  const missing = ids.filter((id) => !all.has(id));
  if (missing.length > 0) throw notFound(missing);
  return [...new Set(ids)].flatMap((id) => all.get(id) ?? []);
}

/** `NextToken` is opaque to clients; ours is the offset. MaxResults and ids together are refused, as in EC2. */
export function page<Item>(
  items: readonly Item[],
  query: Query,
  hasIds: boolean,
): { items: Item[]; nextToken: Xml } {
  const size = query.whole('MaxResults', 5, 1000);
  if (size !== null && hasIds) {
    throw invalidCombination('The parameter MaxResults cannot be used with the list of ids in the request');
  }
  const token = query.text('NextToken');
  const offset = token === null ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isSafeInteger(offset) || offset < 0 || (token !== null && offset === 0)) {
    throw new Ec2Error('InvalidNextToken', 'The token is invalid.');
  }
  const end = size === null ? items.length : offset + size;
  const nextToken = end < items.length ? Buffer.from(String(end)).toString('base64url') : undefined;
  return { items: items.slice(offset, end), nextToken };
}
