/** What the executor tells its receiver: one JSON document a line, by its standard input. */
import { z } from 'zod';

const MAX_MEMBERS = 64;
const MAX_ID_LENGTH = 64;

const wordSchema = z.strictObject({
  kind: z.literal('members'),
  /** The other members, as the log has them. */
  ids: z.array(z.string().max(MAX_ID_LENGTH)).max(MAX_MEMBERS),
});
export type ReceiverWord = z.output<typeof wordSchema>;

/** Null: it is none, or one of a newer executor. */
export function readWord(line: string): ReceiverWord | null {
  try {
    return wordSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
