/**
 * How many bytes the window of a takeover had (data-loss.ts), once they are known: the old holder is back, and what only it had is kept
 * there (`.diverged`). One entry for each pool and tenure, and another only where a further tail has been set aside: the log has
 * transitions, not progress (D4). By the number that such a tail alone makes grow, which the entry says, for the next process.
 */
import type { Config } from '../config/index.ts';
import { otherDataNode, type Report } from '../replication/index.ts';
import { KEPT } from '../resources/index.ts';
import { isDropAllowed, keptBegin, keptText } from '../state/index.ts';
import type { Driver } from './driver.ts';

export interface KeptTailsOptions {
  readonly config: Config;
  readonly driver: Pick<Driver, 'view' | 'propose'>;
}

export class KeptTails {
  readonly #options: KeptTailsOptions;
  /** Up to where, by how the entry begins; only to read the log once for each. */
  #said = new Map<string, number>();

  constructor(options: KeptTailsOptions) {
    this.#options = options;
  }

  onReport({ kept = [] }: Report): void {
    const { config, driver } = this.#options;
    const { hold } = driver.view;
    // Only the holder sends; a report that comes late is of a tenure that is over.
    if (hold?.kind !== 'held') return;
    const other = otherDataNode(config, config.node);
    // A replicator of before does not say up to where: then once.
    for (const { pool, datasets, bytes, largest, upTo = 0 } of kept) {
      const begin = keptBegin(hold.epoch, other, pool);
      if (upTo <= this.#saidOf(begin, driver)) continue;
      const isDropped = isDropAllowed(driver.view.log.all, other, `${pool}/${KEPT}/${hold.epoch}`);
      const text = keptText(begin, { upTo, bytes, datasets, largest }, other, isDropped);
      // A leader that takes no entries now is told again with the next report.
      if (!('refused' in driver.propose({ kind: 'note', text }))) this.#said.set(begin, upTo);
    }
  }

  /** Also by a process of this agent before. -1: nothing yet. */
  #saidOf(begin: string, { view }: Pick<Driver, 'view'>): number {
    const known = this.#said.get(begin);
    if (known !== undefined) return known;
    const upTo = view.log.all.flatMap(({ body }) =>
      body.kind === 'note' && body.text.startsWith(begin)
        ? [Number.parseInt(body.text.slice(begin.length), 10)]
        : [],
    );
    this.#said = new Map([[begin, Math.max(-1, ...upTo)], ...[...this.#said].slice(-16)]);
    return this.#said.get(begin) ?? -1;
  }
}
