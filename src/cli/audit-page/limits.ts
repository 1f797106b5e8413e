/**
 * How much of a long log a page shows. What is left out is always said, with its count, where it is missing; which rows
 * stay is the same rule everywhere: the newest, except for gaps (the longest) and violations (the first, from which the
 * others often follow).
 */

export const MAX_ROWS = {
  tenures: 200,
  elections: 200,
  gaps: 50,
  losses: 200,
  operators: 200,
  violations: 500,
  lines: 500,
};

/** Parts of the timeline's width: what is shorter than one and stands next to its like is drawn as one. */
export const TIMELINE_CELLS = 240;
/** Wider, because a mark has a shape. */
export const MARK_CELLS = 24;

export interface Kept<Row> {
  readonly rows: readonly Row[];
  readonly leftOut: number;
}

export function newest<Row>(rows: readonly Row[], limit: number): Kept<Row> {
  return { rows: rows.slice(Math.max(0, rows.length - limit)), leftOut: Math.max(0, rows.length - limit) };
}

export function first<Row>(rows: readonly Row[], limit: number): Kept<Row> {
  return { rows: rows.slice(0, limit), leftOut: Math.max(0, rows.length - limit) };
}

/** Those with the largest measure, in the order in which they came. */
export function largest<Row>(
  rows: readonly Row[],
  limit: number,
  measure: (row: Row) => number | null,
): Kept<Row> {
  if (rows.length <= limit) return { rows, leftOut: 0 };
  const ranked = rows
    .map((row, position) => ({ position, size: measure(row) ?? 0 }))
    .sort((one, other) => other.size - one.size || other.position - one.position);
  const kept = new Set(ranked.slice(0, limit).map(({ position }) => position));
  return { rows: rows.filter((_row, position) => kept.has(position)), leftOut: rows.length - limit };
}
