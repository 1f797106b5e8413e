/** docs/metrics.md, the dashboard and the alert rules speak of metrics that there are, and the first of all of them. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { exposition } from '../../src/http/exposition.ts';
import { metricsOf } from '../../src/http/metrics.ts';
import { STANDBY } from './facts.ts';
import { metricFacts, PROCESS, readExposition } from './metric-facts.ts';

const docs = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const families = new Map(
  [metricFacts(), metricFacts({ role: STANDBY })].flatMap((facts) => [
    ...readExposition(exposition(metricsOf(facts, PROCESS))),
  ]),
);
/** What Prometheus adds to each target. */
const TARGET_LABELS = ['job', 'instance'];

/** Every selector of an expression: its metric is one, and so are its labels; where all values are known, its value, too. */
function problemsOf(expression: string): string[] {
  const problems: string[] = [];
  let depth = 0;
  for (const one of expression.replaceAll(/"[^"]*"/g, '')) {
    depth += '([{'.includes(one) ? 1 : ')]}'.includes(one) ? -1 : 0;
    if (depth < 0) break;
  }
  if (depth !== 0) problems.push('brackets do not match');
  for (const [, name = '', matchers = ''] of expression.matchAll(/\b(quorate_\w+|up)\b(?:\{([^}]*)\})?/g)) {
    if (name === 'up') continue;
    const base = families.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    const family = families.get(base);
    const samples = family?.samples.filter((sample) => sample.name === name) ?? [];
    if (samples.length === 0) problems.push(`no metric ${name}`);
    for (const [, label = '', value = ''] of matchers.matchAll(/(\w+)\s*=~?\s*"([^"]*)"/g)) {
      if (TARGET_LABELS.includes(label)) continue;
      if (!samples.some(({ labels }) => Object.hasOwn(labels, label)))
        problems.push(`${name} has no label ${label}`);
      else if (!samples.some(({ labels }) => labels[label] === value) && label !== 'reason')
        problems.push(`${name} never has ${label}="${value}"`);
    }
  }
  return problems;
}

it('the check of expressions finds what is wrong', () => {
  expect(problemsOf('sum(quorate_role_check{check="holder",job="x"}) < 1')).toEqual([]);
  expect(problemsOf('rate(quorate_takeover_duration_seconds_bucket[5m])')).toEqual([]);
  expect(problemsOf('quorate_rolecheck')).toEqual(['no metric quorate_rolecheck']);
  expect(problemsOf('quorate_term_bucket')).toEqual(['no metric quorate_term_bucket']);
  expect(problemsOf('quorate_role_check{role="x"}')).toEqual(['quorate_role_check has no label role']);
  expect(problemsOf('quorate_role_check{check="hodler"}')).toEqual([
    'quorate_role_check never has check="hodler"',
  ]);
  expect(problemsOf('sum(quorate_term')).toEqual(['brackets do not match']);
});

const rulesSchema = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string().min(1),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Quorate[A-Za-z]+$/),
          expr: z.string().min(1),
          for: z
            .string()
            .regex(/^\d+[smhd]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
          annotations: z.strictObject({ summary: z.string().min(1), description: z.string().min(1) }),
        }),
      ),
    }),
  ),
});

it('alert rules are well formed, of metrics that there are, and each is in the manual', () => {
  const { groups } = rulesSchema.parse(parse(docs('grafana/alerts.yaml')));
  const rules = groups.flatMap(({ rules: some }) => some);
  expect(rules.length).toBeGreaterThan(10);
  for (const { alert, expr } of rules)
    expect({ alert, problems: problemsOf(expr) }).toEqual({ alert, problems: [] });
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  const described = [...docs('metrics.md').matchAll(/^\| `(Quorate\w+)` \|/gm)].map(([, name]) => name);
  expect(described).toEqual(rules.map(({ alert }) => alert));
});

it('the dashboard is one, of metrics that there are', () => {
  const target = z.looseObject({ expr: z.string().min(1), refId: z.string() });
  const grid = z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() });
  const { panels, annotations } = z
    .looseObject({
      title: z.literal('Quorate'),
      uid: z.string(),
      schemaVersion: z.number(),
      annotations: z.object({ list: z.array(z.looseObject({ expr: z.string() })) }),
      panels: z.array(
        z.looseObject({ id: z.number(), title: z.string(), gridPos: grid, targets: z.array(target) }),
      ),
    })
    .parse(JSON.parse(docs('grafana/quorate.json')));
  const expressions = [
    ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr }))),
    ...annotations.list.map(({ expr }) => ({ title: 'annotation', expr })),
  ];
  for (const { title, expr } of expressions)
    expect({ title, problems: problemsOf(expr) }).toEqual({ title, problems: [] });
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_one, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
  );
  expect(new Set(cells).size, 'panels overlap').toBe(cells.length);
  for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
});

it('the manual names every metric with its type and labels, and no other', () => {
  const rows = [...docs('metrics.md').matchAll(/^\| `(quorate_\w+)(?:\{([^}]*)\})?` \| (\w+) \|/gm)];
  const documented = rows.map(([, name = '', labels = '', type]) => ({
    name,
    labels: labels.split(',').sort(),
    type,
  }));
  const real = [...families].map(([name, { type, samples }]) => ({
    name,
    labels: [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))]
      .filter((one) => one !== 'le')
      .sort(),
    type,
  }));
  for (const one of real) if (one.labels.length === 0) one.labels.push('');
  const byName = (one: { name: string }, other: { name: string }) => (one.name < other.name ? -1 : 1);
  expect(documented.sort(byName)).toEqual(real.sort(byName));
});
