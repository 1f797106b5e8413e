import { clock } from './words.ts';

/** @param at ISO 8601 */
export function Time({ at, hasDay = false }: { at: string; hasDay?: boolean }) {
  return <time datetime={at}>{hasDay ? clock(at) : clock(at).slice(11)}</time>;
}
