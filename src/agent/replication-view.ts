/** How far the replication by snapshots of this node is, as its executor tells it. The agent has no part in it: it answers. */
import type { ReplicationDocument } from '../admin/index.ts';
import type { Config } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import {
  BoardView,
  type DatasetState,
  otherDataNode,
  type Report,
  type Round,
} from '../replication/index.ts';

/** Under gRPC's limit of 4 MiB a message, at 1.5 KiB each. */
const MAX_TOLD = 2000;

export class ReplicationView {
  readonly #config: Config;
  readonly #executor: Pick<ExecutorClient, 'replicate' | 'connected'>;
  #view = new BoardView();
  #isSending = false;
  /** An agent that has adopted a tenure (L7) hears only what changes from then on: see `#isWholeAfter`. */
  #isWhole = false;
  #firstRound: number | null = null;

  constructor(config: Config, executor: Pick<ExecutorClient, 'replicate' | 'connected'>) {
    this.#config = config;
    this.#executor = executor;
  }

  get facts(): {
    readonly isSending: boolean;
    /** Nothing is missing that was told before this agent began. */
    readonly isWhole: boolean;
    readonly round: Round;
    readonly datasets: readonly DatasetState[];
  } {
    const { round, datasets } = this.#view;
    return { isSending: this.#isSending, isWhole: this.#isWhole, round, datasets };
  }

  onExecutorEvent(event: ExecutorEvent): void {
    if (event.kind === 'replication') {
      this.#view.apply(event.report);
      this.#isWhole = this.#isWholeAfter(event.report);
      // Nothing has begun after a reset by the executor itself.
      this.#isSending = event.report.round.number > 0 || event.report.round.problem !== null;
    }
    // What was so in a tenure that is over says nothing of now.
    if (event.kind === 'gone' || event.kind === 'released') {
      this.#view = new BoardView();
      this.#isSending = false;
      this.#isWhole = false;
      this.#firstRound = null;
    }
  }

  /** Every round tells of every dataset anew; the first one that is heard may be half told. */
  #isWholeAfter({ isReset, round }: Report): boolean {
    if (isReset || this.#isWhole) return true;
    this.#firstRound ??= round.number;
    return round.number >= this.#firstRound + 2;
  }

  document(holder: NodeId | null): ReplicationDocument {
    const { cluster, node } = this.#config;
    this.#requireConfig();
    const { round, datasets } = this.#view;
    return {
      cluster,
      observer: node,
      holder,
      to: this.#isSending ? otherDataNode(this.#config, node) : null,
      isSending: this.#isSending,
      round,
      // By name, what is not as it should be first: that must not be left out.
      datasets: datasets
        .toSorted((left, right) => Number(left.state === 'current') - Number(right.state === 'current'))
        .slice(0, MAX_TOLD),
      omitted: Math.max(0, datasets.length - MAX_TOLD),
    };
  }

  /** Of which number the round is that will have everything that was asked for. */
  run(dataset: string | null): number {
    this.#requireConfig();
    if (!this.#isSending || !this.#executor.connected)
      throw new QuorateError('replication-not-sending', `${this.#config.node} does not send`);
    const known = this.#view.datasets;
    if (dataset !== null && !known.some((one) => one.dataset === dataset))
      throw new QuorateError('usage', `"${dataset}" is no dataset that ${this.#config.node} replicates`);
    this.#executor.replicate(dataset);
    return this.#view.round.number + 1;
  }

  #requireConfig(): void {
    const { replication, node, file } = this.#config;
    if (replication === null || replication.send === null)
      throw new QuorateError(
        'replication-not-configured',
        `${node} sends nothing: ${file} has no "replication" with "send"`,
      );
  }
}
