/** What `npm run network` prints: the JSON document for programs, the same as a table for people. */
import { median } from './measure.ts';
import type { PeerMeasured } from './peers/keepalived.ts';
import type { Measured } from './stage.ts';

export interface FaultReport {
  readonly switch: string;
  /** Events that were tried. */
  readonly events: number;
  /** Of them: the address did not end where the holder is. */
  readonly wrongHolder: number;
}

/** Of one topology. */
export interface Run {
  readonly measured: Measured;
  readonly topology: 'address only' | 'cloud';
}

export interface Results {
  readonly host: { readonly kernel: string; readonly root: boolean };
  readonly events: readonly Run[];
  readonly faults: readonly (FaultReport & { readonly runs: readonly Measured[] })[];
  readonly peers: readonly PeerMeasured[];
  /** What agents say about their own log: broken rules, tenures that overlap. */
  readonly violations: readonly string[];
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

/** One row for each run of an event. */
export function document({ host, events, faults, peers }: Results): Record<string, unknown> {
  return {
    host,
    events: events.map(({ measured, topology }) => ({
      name: `${measured.name}, ${topology}`,
      from: measured.from,
      to: measured.to,
      outageMs: tenths(measured.outageMs),
      // Ours may not even have the address twice where nobody can reach it.
      bothAnsweredMs: tenths(Math.max(measured.bothAnsweredMs, measured.bothHeldMs)),
    })),
    faults: faults.map(({ switch: name, events: count, wrongHolder }) => ({
      switch: name,
      events: count,
      wrongHolder,
    })),
    peers: peers.map((peer) => ({
      ...peer,
      outageMs: tenths(peer.outageMs),
      bothAnsweredMs: tenths(peer.bothAnsweredMs),
    })),
  };
}

/** Two at once, an address that ended wrong, or a log that breaks a rule; as sentences. */
export function failures({ events, faults, violations }: Results): string[] {
  const all = [
    ...events.map(({ measured, topology }) => ({ measured, where: topology })),
    ...faults.flatMap(({ switch: where, runs }) => runs.map((measured) => ({ measured, where }))),
  ];
  return [
    ...violations,
    ...all.flatMap(({ measured, where }) => {
      const what = `${measured.name} (${where}), ${measured.from} to ${measured.to}`;
      const twice = Math.max(measured.bothAnsweredMs, measured.bothHeldMs);
      return [
        ...(twice > 0 ? [`${what}: two at once for ${twice.toFixed(1)} ms`] : []),
        ...(measured.isWrong
          ? [`${what}: the address did not end where the holder is: ${measured.note}`]
          : []),
      ];
    }),
  ];
}

export function table(results: Results): string {
  const { events, faults, peers } = results;
  const ours = grouped(events, ({ measured, topology }) => `${topology}\u0000${measured.name}`).map(
    (runs) => {
      const measured = runs.map((run) => run.measured);
      return [
        runs[0]?.topology ?? '',
        measured[0]?.name ?? '',
        String(runs.length),
        moves(measured),
        ms(median(measured.map(({ outageMs }) => outageMs))),
        ms(Math.max(...measured.map(({ outageMs }) => outageMs))),
        ms(Math.max(...measured.map((one) => Math.max(one.bothAnsweredMs, one.bothHeldMs)))),
      ];
    },
  );
  const theirs = grouped(peers, ({ name, event }) => `${name}\u0000${event}`).map((runs) => [
    runs[0]?.name ?? '',
    runs[0]?.event ?? '',
    String(runs.length),
    '',
    ms(median(runs.map(({ outageMs }) => outageMs))),
    ms(Math.max(...runs.map(({ outageMs }) => outageMs))),
    ms(median(runs.map(({ bothAnsweredMs }) => bothAnsweredMs))),
  ]);
  const head = ['', 'EVENT', 'RUNS', 'MOVED', 'OUTAGE, MEDIAN', 'LONGEST', 'TWO AT ONCE'];
  const faultRows = faults.map((one) => [one.switch, String(one.events), String(one.wrongHolder)]);
  return [
    columns([head, ...ours, ...theirs], 4),
    ...(faultRows.length === 0
      ? []
      : ['', columns([['EC2 FAULT', 'EVENTS', 'WRONG HOLDER'], ...faultRows], 1)]),
    ...notes(results),
  ].join('\n');
}

function notes(results: Results): string[] {
  const said = [
    ...results.events.map(({ measured, topology }) => ({ measured, where: topology })),
    ...results.faults.flatMap(({ switch: where, runs }) => runs.map((measured) => ({ measured, where }))),
  ].flatMap(({ measured, where }) =>
    measured.note === '' ? [] : [`${measured.name} (${where}): ${measured.note}`],
  );
  const broken = failures(results);
  return [
    ...(said.length === 0 ? [] : ['', ...said]),
    ...broken.map((sentence) => `FAILED: ${sentence}`),
    ...(broken.length === 0 && results.events.length + results.faults.length > 0
      ? ['', 'Quorate: never two at once, and the address always ended where the holder is.']
      : []),
  ];
}

function moves(measured: readonly Measured[]): string {
  const moved = measured.filter(({ from, to }) => from !== to).length;
  return moved === measured.length ? 'yes' : moved === 0 ? 'no' : `${moved} of ${measured.length}`;
}

const ms = (value: number | null): string => (value === null ? '-' : `${value.toFixed(0)} ms`);

function grouped<Item>(items: readonly Item[], key: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/** The first `left` columns are words, the others numbers. */
function columns(rows: readonly (readonly string[])[], left: number): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column < left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
