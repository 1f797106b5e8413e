/**
 * In which order datasets are sent that are waiting together: whoever was begun longest ago comes first, also where it broke off; of those that
 * this process has not begun yet, whose copy is oldest. Every round plans anew, and by names alone the last ones would never be sent
 * where there is always more to send than a period has time for (seen in the lab).
 *
 * A first copy comes after the first copies of what it lies in. A later one waits for nothing: where parents that are written all the time came
 * first, what lies deepest got nothing any more (seen in the lab).
 */
import type { Snapshot } from '../pool.ts';
import { parentOf } from '../pool-tree.ts';
import { readOwnName } from './names.ts';

interface Waiting {
  readonly dataset: string;
  /** The newest that both sides have; null before a first copy is whole. */
  readonly common: Snapshot | null;
}

/** It needs what it lies in to be there, if that is to be made, too. */
export const isFirstCopy = ({ common }: Pick<Waiting, 'common'>): boolean => common === null;

interface Turn {
  /** Counts what was begun; 0: never. */
  readonly begun: number;
  /** Milliseconds since 1970; 0: there is no copy, or somebody else has taken it. */
  readonly takenAt: number;
}

/** More than there are datasets (state.ts); of those that are gone too. */
const MAX_KNOWN = 20_000;

export class Turns {
  /** The one begun longest ago first; also of those that do not wait now, or who is under way at a plan would come first at the next. */
  readonly #begun = new Map<string, number>();
  #count = 0;

  begun(dataset: string): void {
    this.#count += 1;
    this.#begun.delete(dataset);
    this.#begun.set(dataset, this.#count);
    const [oldest] = this.#begun.keys();
    if (this.#begun.size > MAX_KNOWN && oldest !== undefined) this.#begun.delete(oldest);
  }

  /** Given with parents first, as a plan has them. */
  inTurn<Transfer extends Waiting>(transfers: readonly Transfer[]): readonly Transfer[] {
    const turns = new Map<string, Turn>();
    const firsts = new Map<string, Turn>();
    for (const transfer of transfers) {
      const { dataset, common } = transfer;
      const takenAt = common === null ? 0 : (readOwnName(common.name)?.takenAtMs ?? 0);
      const own = { begun: this.#begun.get(dataset) ?? 0, takenAt };
      const isFirst = isFirstCopy(transfer);
      const turn = isFirst ? later(own, turnAbove(dataset, firsts)) : own;
      turns.set(dataset, turn);
      if (isFirst) firsts.set(dataset, turn);
    }
    const turnOf = ({ dataset }: Transfer): Turn => turns.get(dataset) ?? FIRST;
    return transfers.toSorted((one, other) => order(turnOf(one), turnOf(other)));
  }
}

const FIRST: Turn = { begun: 0, takenAt: 0 };

/** Of the nearest first copy above it that waits too. */
function turnAbove(dataset: string, turns: ReadonlyMap<string, Turn>): Turn {
  for (let at = parentOf(dataset); at !== ''; at = parentOf(at)) {
    const turn = turns.get(at);
    if (turn !== undefined) return turn;
  }
  return FIRST;
}

const order = (one: Turn, other: Turn): number => one.begun - other.begun || one.takenAt - other.takenAt;
const later = (one: Turn, other: Turn): Turn => (order(one, other) < 0 ? other : one);
