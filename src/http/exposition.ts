/**
 * The text format of Prometheus (version 0.0.4). Pure.
 *
 * No `prom-client`: everything here but three histograms is read from the agent at the instant of the scrape, for which that
 * library would be a second place that keeps the same state, with labels to be reset for each scrape and an answer that
 * comes later than the facts it was made of; and it brings the API of OpenTelemetry with it.
 */

export type Labels = Readonly<Record<string, string>>;
export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

export type Family =
  | {
      readonly kind: 'gauge' | 'counter';
      readonly name: string;
      readonly help: string;
      /** Empty: not known now. The family is left out, because 0 would say something. */
      readonly samples: readonly Sample[];
    }
  | {
      readonly kind: 'histogram';
      readonly name: string;
      readonly help: string;
      readonly counts: HistogramCounts;
    };

export interface HistogramCounts {
  /** Upper ends, rising. */
  readonly bounds: readonly number[];
  /** One for each bound, and one for what lies above all; not cumulative. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Counts for as long as this process lives. */
export class Histogram implements HistogramCounts {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const found = this.bounds.findIndex((bound) => value <= bound);
    const at = found === -1 ? this.bounds.length : found;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += value;
  }
}

export function exposition(families: readonly Family[]): string {
  return families.map(familyText).join('');
}

function familyText(family: Family): string {
  const { name, kind, help } = family;
  const lines =
    kind === 'histogram' ? histogramLines(name, family.counts) : sampleLines(name, family.samples);
  if (lines.length === 0) return '';
  return `# HELP ${name} ${escaped(help, /[\\\n]/g)}\n# TYPE ${name} ${kind}\n${lines.join('\n')}\n`;
}

const sampleLines = (name: string, samples: readonly Sample[]): string[] =>
  samples.map(({ labels = {}, value }) => line(name, labels, value));

function histogramLines(name: string, { bounds, counts, sum }: HistogramCounts): string[] {
  let total = 0;
  const buckets = counts.map((count, at) => {
    total += count;
    const bound = bounds[at];
    return line(`${name}_bucket`, { le: bound === undefined ? '+Inf' : String(bound) }, total);
  });
  return [...buckets, line(`${name}_sum`, {}, sum), line(`${name}_count`, {}, total)];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text, /[\\"\n]/g)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numeral(value)}`;
}

function numeral(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf';
}

const escaped = (text: string, special: RegExp): string =>
  text.replaceAll(special, (one) => (one === '\n' ? '\\n' : `\\${one}`));
