/**
 * What a copy had *received* of properties before a stream began, until somebody has looked at what the stream has brought (rule 2 of
 * not-taken.ts). A receiver that dies in the middle, or is ended by a takeover, has not looked: the next one compares with what was then,
 * and not with what has come since.
 *
 * A file, and no property of the dataset: it must be there before the stream, without another process; and what a stream brings could
 * be such a property too. It is of the dataset by its GUID, so that a rename takes it along, and one that was made anew under the name has
 * none; of one that was not here yet, by its name.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../../durable-file.ts';
import { QuorateError } from '../../errors.ts';
import type { PropertiesNow } from './not-taken.ts';
import type { DatasetNow } from './zfs.ts';

const MAX_CHARACTERS = 65_536;

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** "GUID" of a dataset that was here, else its name. */
  of: z.string().max(255),
  received: z.record(z.string().max(255), z.string().max(8192)),
});

/** What is to be compared with, of those that are here now; null: it is not here, and has received nothing. Rejects for a file that is not understood. */
export async function rememberReceived(
  dataDir: string,
  dataset: string,
  now: DatasetNow | null,
): Promise<PropertiesNow> {
  const directory = directoryOf(dataDir);
  const properties: PropertiesNow = now?.properties ?? new Map();
  for (const of of namesOf(dataset, now)) {
    const known = await read(pathOf(directory, of), of, dataset);
    if (known !== null) return asItWas(properties, known);
  }
  const received = [...properties].flatMap(([name, { source, value }]) =>
    source === 'received' ? [[name, value] as const] : [],
  );
  const of = now?.guid ?? dataset;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const text = JSON.stringify({ version: 1, of, received: Object.fromEntries(received) });
  // A power cut may end the stream: ZFS has what it has brought by then, and this must not be gone.
  await replaceFile(pathOf(directory, of), text, 'durable');
  return properties;
}

/** Somebody has looked, and has acted on it. */
export async function forgetReceived(
  dataDir: string,
  dataset: string,
  now: DatasetNow | null,
): Promise<void> {
  for (const of of namesOf(dataset, now)) await rm(pathOf(directoryOf(dataDir), of), { force: true });
}

const namesOf = (dataset: string, now: DatasetNow | null): readonly string[] =>
  now === null ? [dataset] : [now.guid, dataset];

/**
 * To compare with only (`changedBy`): what has been received since is not named as such, and what has been since then taken away is. What
 * has come meanwhile may also be a person's, who has seeded the copy: so by this nothing is reset.
 */
function asItWas(now: PropertiesNow, received: Readonly<Record<string, string>>): PropertiesNow {
  return new Map(
    [...now].map(([name, one]) => {
      const was = received[name];
      if (one.source === 'received') return [name, was === one.value ? one : { value: '-', source: '-' }];
      const isGone = was !== undefined && one.source !== 'local';
      return [name, isGone ? { value: was, source: 'received' } : one];
    }),
  );
}

async function read(
  path: string,
  of: string,
  dataset: string,
): Promise<Readonly<Record<string, string>> | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const parsed = text.length > MAX_CHARACTERS ? null : fileSchema.safeParse(jsonOf(text));
  if (parsed?.success === true && parsed.data.of === of) return parsed.data.received;
  throw new QuorateError(
    'replication-refused',
    `${path} is not understood: look at "zfs get -s received all ${dataset}", "zfs inherit" what is not yours, then remove the file`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const directoryOf = (dataDir: string): string => join(dataDir, 'replication', 'received');

/** Names of datasets have characters that file names have not. */
const pathOf = (directory: string, of: string): string =>
  join(directory, `${createHash('sha256').update(of).digest('hex').slice(0, 32)}.json`);
