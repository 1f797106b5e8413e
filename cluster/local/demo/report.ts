import type { AuditDocument } from '../../../src/state/index.ts';
import type { DemoEvent } from './scenario.ts';

/** What `scripts/demo --json` prints. */
export interface DemoReport {
  readonly writes: { readonly acknowledged: number; readonly lost: number };
  readonly maxHolders: number;
  readonly events: readonly DemoEvent[];
  readonly audit: {
    readonly ok: boolean;
    readonly tenures: AuditDocument['tenures'];
    readonly violations: AuditDocument['violations'];
  };
}

const milliseconds = (value: number | null): string => (value === null ? '-' : value.toFixed(0));

export function table({ events, writes, maxHolders, audit }: DemoReport): string {
  const rows = [
    ['EVENT', 'HOLDER', 'DETECTION', 'ELECTION', 'TAKEOVER', 'CLIENT OUTAGE'],
    ...events.map((event) => [
      event.name,
      event.from === event.to ? event.to : `${event.from} → ${event.to}`,
      milliseconds(event.detectMs),
      milliseconds(event.electMs),
      milliseconds(event.takeoverMs),
      `${milliseconds(event.outageMs)} ms`,
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
  return [
    ...lines,
    '',
    `records acknowledged  ${writes.acknowledged}`,
    `records lost          ${writes.lost}`,
    `most holders at once  ${maxHolders}`,
    `audit                 ${audit.ok ? 'whole' : 'NOT whole'}, ${audit.tenures.length} tenures, ${audit.violations.length} violations`,
  ].join('\n');
}
