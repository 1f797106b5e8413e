/** What families of metrics are made of. */
import type { Family, Sample } from './exposition.ts';

export const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  ...{ kind: 'gauge', name, help, samples },
});
export const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
  ...{ kind: 'counter', name, help, samples },
});
export const seconds = (ms: number): Sample => ({ value: Math.round(ms * 1000) / 1_000_000 });
export const known = (value: number | null): Sample[] => (value === null ? [] : [{ value }]);
export const knownMs = (ms: number | null): Sample[] => (ms === null ? [] : [seconds(ms)]);
export const named = (label: string, name: string | null): Sample[] =>
  name === null ? [] : [{ labels: { [label]: name }, value: 1 }];
export const states = (
  label: string,
  all: readonly string[],
  now: string,
  more: Readonly<Record<string, string>> = {},
): Sample[] => all.map((one) => ({ labels: { ...more, [label]: one }, value: Number(one === now) }));
