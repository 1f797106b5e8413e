import type { Acknowledgement } from '../local/demo/writer.ts';

/** The longest time without an acknowledgement between two instants, in ms: what a client sees of an event. Pure. */
export function outageMs(acknowledgements: readonly Acknowledgement[], from: number, to: number): number {
  const inside = acknowledgements.map(({ answeredAt }) => answeredAt).filter((at) => at > from && at < to);
  const ends = [from, ...inside, to];
  return Math.max(...ends.slice(1).map((at, index) => at - (ends[index] ?? at)));
}
