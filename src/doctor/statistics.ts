/** Of measured times, ms. */
export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Null for none. Rounded to hundredths: nobody decides by less. */
export function summaryOf(ms: readonly number[]): Summary | null {
  if (ms.length === 0) return null;
  const sorted = ms.toSorted((left, right) => left - right);
  // Nearest rank: with few samples p99 is the worst one, which is the careful side.
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((share) => Math.round(at(share) * 100) / 100);
  return { count: sorted.length, p50: p50 ?? 0, p90: p90 ?? 0, p99: p99 ?? 0, max: max ?? 0 };
}
