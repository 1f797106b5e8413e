/** One thing that somebody does with two pools, `a` and `b`. Datasets are named without their pool. */
import { assertNever } from '../../src/core/index.ts';

export type Side = 'a' | 'b';
export const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');

/** `middle`, `end`: half of a stream's bytes, or its end, do not arrive. */
export type Cut = 'no' | 'middle' | 'end';

export type Step =
  | { readonly kind: 'create'; readonly side: Side; readonly dataset: string; readonly isVolume: boolean }
  | { readonly kind: 'destroy'; readonly side: Side; readonly dataset: string }
  /** A line at the end of a file. */
  | { readonly kind: 'write'; readonly side: Side; readonly dataset: string; readonly text: string }
  /** All of one moment. */
  | {
      readonly kind: 'snapshot';
      readonly side: Side;
      readonly datasets: readonly string[];
      readonly name: string;
    }
  | { readonly kind: 'snapshot-below'; readonly side: Side; readonly dataset: string; readonly name: string }
  | ({ readonly kind: 'destroy-snapshots' } & Snapshots)
  | ({ readonly kind: 'hold' | 'release'; readonly tag: string } & Snapshots)
  | ({ readonly kind: 'bookmark' | 'rename-snapshot'; readonly to: string } & One)
  | {
      readonly kind: 'destroy-bookmark';
      readonly side: Side;
      readonly dataset: string;
      readonly name: string;
    }
  | { readonly kind: 'rename'; readonly side: Side; readonly dataset: string; readonly to: string }
  | ({ readonly kind: 'rollback' } & One)
  | ({ readonly kind: 'clone'; readonly to: string } & One)
  | { readonly kind: 'promote'; readonly side: Side; readonly dataset: string }
  | {
      readonly kind: 'set';
      readonly side: Side;
      readonly dataset: string;
      readonly property: Property;
      readonly value: 'on' | 'off';
    }
  | { readonly kind: 'inherit'; readonly side: Side; readonly dataset: string; readonly property: Property }
  | Send
  /** What `target` has of a stream goes on; `side` receives. */
  | { readonly kind: 'resume'; readonly side: Side; readonly target: string; readonly cut: Cut }
  | { readonly kind: 'abandon'; readonly side: Side; readonly dataset: string };

interface One {
  readonly side: Side;
  readonly dataset: string;
  readonly snapshot: string;
}

interface Snapshots {
  readonly side: Side;
  readonly dataset: string;
  readonly names: readonly string[];
}

/** `side` receives as `target` what `dataset` of the other side has. */
export interface Send {
  readonly kind: 'send';
  readonly side: Side;
  readonly dataset: string;
  readonly snapshot: string;
  /** "@s1", "#s1"; null: a full stream. */
  readonly base: string | null;
  /** With all snapshots between the two (`-I`). */
  readonly isRun: boolean;
  readonly target: string;
  readonly cut: Cut;
}

export const PROPERTIES = ['readonly', 'quorate:replicate'] as const;
export type Property = (typeof PROPERTIES)[number];

/** What each side's pool is called. */
export type PoolNames = Readonly<Record<Side, string>>;

/** What a step does from outside. */
export type Work =
  | { readonly kind: 'command'; readonly words: readonly string[] }
  /** Mounts the file system for as long as it writes. */
  | { readonly kind: 'write'; readonly dataset: string; readonly text: string }
  | {
      readonly kind: 'stream';
      readonly send: readonly string[];
      readonly cut: Cut;
      readonly receive: readonly string[];
    }
  /** There is nothing to go on with. */
  | { readonly kind: 'nothing' };

/** As `zfs` takes it. `tokenOf`: what the listing says of a dataset. */
export function workOf(step: Step, pools: PoolNames, tokenOf: (full: string) => string | null): Work {
  const pool = pools[step.side];
  const full = (name: string): string => `${pool}/${name}`;
  const command = (...words: readonly string[]): Work => ({ kind: 'command', words });
  switch (step.kind) {
    case 'create':
      return command('create', ...(step.isVolume ? ['-s', '-V', '1M'] : []), full(step.dataset));
    case 'destroy':
      return command('destroy', full(step.dataset));
    case 'write':
      return { kind: 'write', dataset: full(step.dataset), text: step.text };
    case 'snapshot':
      return command('snapshot', ...step.datasets.map((one) => `${full(one)}@${step.name}`));
    case 'snapshot-below':
      return command('snapshot', '-r', `${full(step.dataset)}@${step.name}`);
    case 'destroy-snapshots':
      return command('destroy', `${full(step.dataset)}@${step.names.join(',')}`);
    case 'hold':
    case 'release':
      return command(step.kind, step.tag, ...step.names.map((name) => `${full(step.dataset)}@${name}`));
    case 'bookmark':
      return command(
        'bookmark',
        `${full(step.dataset)}@${step.snapshot}`,
        `${full(step.dataset)}#${step.to}`,
      );
    case 'rename-snapshot':
      return command('rename', `${full(step.dataset)}@${step.snapshot}`, `${full(step.dataset)}@${step.to}`);
    case 'destroy-bookmark':
      return command('destroy', `${full(step.dataset)}#${step.name}`);
    case 'rename':
      return command('rename', full(step.dataset), full(step.to));
    case 'rollback':
      return command('rollback', `${full(step.dataset)}@${step.snapshot}`);
    case 'clone':
      return command('clone', `${full(step.dataset)}@${step.snapshot}`, full(step.to));
    case 'promote':
      return command('promote', full(step.dataset));
    case 'set':
      return command('set', `${step.property}=${step.value}`, full(step.dataset));
    case 'inherit':
      return command('inherit', step.property, full(step.dataset));
    case 'send':
      return {
        kind: 'stream',
        send: sendWords(step, pools),
        cut: step.cut,
        receive: receiveWords(full(step.target)),
      };
    case 'resume': {
      const token = tokenOf(full(step.target));
      if (token === null) return { kind: 'nothing' };
      return {
        kind: 'stream',
        send: ['send', '-t', token],
        cut: step.cut,
        receive: receiveWords(full(step.target)),
      };
    }
    case 'abandon':
      return command('receive', '-A', full(step.dataset));
    default:
      return assertNever(step);
  }
}

function sendWords({ side, dataset, snapshot, base, isRun }: Send, pools: PoolNames): readonly string[] {
  const source = `${pools[other(side)]}/${dataset}`;
  return ['send', ...(base === null ? [] : [isRun ? '-I' : '-i', base]), `${source}@${snapshot}`];
}

/** As the receiver of the product, but for properties that are not looked at here. */
const receiveWords = (target: string): readonly string[] => [
  'receive',
  '-s',
  '-u',
  '-o',
  'readonly=on',
  target,
];

/** On one line, for people. */
export function inWords(step: Step, pools: PoolNames): string {
  const work = workOf(step, pools, () => 'TOKEN');
  const where = pools.a === pools.b ? `${step.side}: ` : '';
  const cut = 'cut' in step && step.cut !== 'no' ? `, cut in its ${step.cut}` : '';
  switch (work.kind) {
    case 'command':
      return `${where}zfs ${work.words.join(' ')}`;
    case 'write':
      return `${where}write into ${work.dataset}`;
    case 'stream':
      return `${where}zfs ${work.send.join(' ')}${cut} | zfs ${work.receive.join(' ')}`;
    case 'nothing':
      return `${where}nothing`;
    default:
      return assertNever(work);
  }
}
