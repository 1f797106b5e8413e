import { describe, expect, it } from 'vitest';
import { instant } from '../../src/core/index.ts';
import { exposition } from '../../src/http/exposition.ts';
import type { MetricFacts } from '../../src/http/index.ts';
import { metricsOf } from '../../src/http/metrics.ts';
import { HOLDER, NEW, NOW, STANDBY, WITNESS } from './facts.ts';
import { metricFacts, PROCESS, readExposition } from './metric-facts.ts';

const told = (change: Partial<MetricFacts> = {}) =>
  readExposition(exposition(metricsOf(metricFacts(change), PROCESS)));
const numberOf = (name: string, labels: Record<string, string> = {}, change: Partial<MetricFacts> = {}) =>
  told(change)
    .get(name)
    ?.samples.find((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    ?.value;

describe('the text format', () => {
  it('escapes what labels and help may not have', () => {
    const text = exposition([
      { kind: 'gauge', name: 'x', help: 'a\nb\\c"', samples: [{ labels: { l: 'q"\\\nz' }, value: 1.5 }] },
    ]);
    expect(text).toBe('# HELP x a\\nb\\\\c"\n# TYPE x gauge\nx{l="q\\"\\\\\\nz"} 1.5\n');
    expect(readExposition(text).get('x')?.samples).toEqual([
      { name: 'x', labels: { l: 'q"\\\nz' }, value: 1.5 },
    ]);
  });

  it.each([
    '# TYPE x gauge\nx 1\n',
    '# HELP x h\n# TYPE x gauge\nx 1',
    '# HELP x h\n# TYPE x gauge\nx one\n',
    '# HELP x h\n# TYPE x gauge\nx{a=1} 1\n',
    '# HELP x h\n# TYPE x gauge\nx 1\nx 2\n',
    '# HELP x h\n# TYPE x gauge\ny 1\n',
  ])('the reader of these tests refuses %j', (text) => {
    expect(() => readExposition(text)).toThrow();
  });

  it('writes numbers that no float has a short name for', () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-7, 1e21];
    const samples = values.map((value, at) => ({ labels: { at: String(at) }, value }));
    const read = readExposition(exposition([{ kind: 'gauge', name: 'x', help: 'h', samples }]));
    expect(read.get('x')?.samples.map(({ value }) => value)).toEqual(values);
  });
});

describe('names by convention', () => {
  it('have the prefix, a unit of Prometheus, and _total exactly where they are counters', () => {
    for (const [name, { type, help }] of told()) {
      expect(name).toMatch(/^quorate_[a-z]+(_[a-z]+)*$/);
      expect(name).not.toMatch(/_(ms|millis|milliseconds|minutes|percent)(_|$)/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      if (type === 'histogram') expect(name).toMatch(/_seconds$/);
      expect(help).toMatch(/^[A-Z0-9].*\.$/);
    }
  });
});

describe('what is told', () => {
  it('of a holder', () => {
    expect(numberOf('quorate_role', { role: 'leader' })).toBe(1);
    expect(numberOf('quorate_role', { role: 'follower' })).toBe(0);
    expect(numberOf('quorate_role_check', { check: 'holder' })).toBe(1);
    expect(numberOf('quorate_role_check', { check: 'standby' })).toBe(0);
    expect(numberOf('quorate_term')).toBe(3);
    expect(numberOf('quorate_epoch')).toBe(8);
    expect(numberOf('quorate_holder_info', { holder: 'a' })).toBe(1);
    expect(numberOf('quorate_lease_remaining_seconds')).toBe(0.4125);
    expect(numberOf('quorate_log_lag_entries')).toBe(0);
    expect(numberOf('quorate_node_in_sync', { node: 'b' })).toBe(0);
    expect(numberOf('quorate_node_in_sync', { node: 'w' })).toBeUndefined();
    expect(numberOf('quorate_node_match_index', { node: 'b' })).toBe(9);
    expect(numberOf('quorate_replication_link_state', { peer: 'b', state: 'not-in-sync' })).toBe(1);
    expect(numberOf('quorate_resource_state', { resource: 'block', state: 'held' })).toBe(1);
    expect(numberOf('quorate_certificate_expiry_timestamp_seconds', { certificate: 'node' })).toBe(
      Date.UTC(2027, 0, 1) / 1000,
    );
    expect(numberOf('quorate_build_info', { version: '0.1.0' })).toBe(1);
  });

  it('of what has happened: seconds, and buckets that add up', () => {
    expect(numberOf('quorate_elections_total', { reason: 'leader-silent' })).toBe(2);
    expect(numberOf('quorate_last_takeover_duration_seconds')).toBe(0.04625);
    expect(numberOf('quorate_last_release_margin_seconds')).toBe(0.864);
    const takeovers = told().get('quorate_takeover_duration_seconds')?.samples;
    expect(takeovers?.map(({ name, labels, value }) => [name.slice(34), labels.le, value])).toEqual([
      ['bucket', '0.025', 1],
      // A bound belongs to its bucket.
      ['bucket', '0.05', 3],
      ['bucket', '1', 3],
      ['bucket', '+Inf', 4],
      ['sum', undefined, expect.closeTo(7.116, 6)],
      ['count', undefined, 4],
    ]);
  });

  it('a release that outlived D has a margin below 0', () => {
    const counted = { ...metricFacts().counted, lastRelease: { ms: 1250, boundMs: 1000 } };
    expect(numberOf('quorate_last_release_margin_seconds', {}, { counted })).toBe(-0.25);
  });

  it('a lease that has ended is none, and its node holds nothing (T2)', () => {
    const role = { ...HOLDER, now: instant(NOW + 413) };
    expect(numberOf('quorate_lease_remaining_seconds', {}, { role })).toBeUndefined();
    expect(numberOf('quorate_role_check', { check: 'holder' }, { role })).toBe(0);
    expect(told({ role }).has('quorate_holder_info')).toBe(false);
  });

  it('what is not known is left out, not 0', () => {
    const counted = { ...metricFacts().counted, lastTakeover: null, lastRelease: null };
    const families = told({ role: NEW, probes: null, failedChecks: null, counted });
    for (const name of ['epoch', 'holder_info', 'leader_info', 'lease_remaining_seconds', 'log_lag_entries'])
      expect(families.has(`quorate_${name}`), name).toBe(false);
    for (const name of [
      'io_suspended',
      'resource_state',
      'doctor_failed_checks',
      'last_takeover_duration_seconds',
    ])
      expect(families.has(`quorate_${name}`), name).toBe(false);
    expect(families.get('quorate_term')?.samples).toMatchObject([{ value: 0 }]);
  });

  it('of a pool how old the copy is, on either node; nothing where that is not known', () => {
    expect(numberOf('quorate_replication_lag_seconds', { dataset: 'tank/home' })).toBe(90);
    expect(numberOf('quorate_replication_pool_lag_seconds', { pool: 'tank', role: 'source' })).toBe(90);
    const [pool] = metricFacts().pools;
    if (pool === undefined) throw new Error('a pool');
    const as = (change: object) => ({ pools: [{ ...pool, role: 'target' as const, ...change }] });
    const labels = { pool: 'tank', role: 'target' };
    expect(
      numberOf('quorate_replication_pool_lag_seconds', labels, as({ copy: 'everything', upTo: null })),
    ).toBe(0);
    for (const copy of ['none', 'unknown'])
      expect(told(as({ copy, upTo: null })).has('quorate_replication_pool_lag_seconds')).toBe(false);
  });

  it('of a follower its leader, and of a witness no disk', () => {
    expect(numberOf('quorate_leader_info', { leader: 'a' }, { role: STANDBY })).toBe(1);
    expect(numberOf('quorate_leader_contact_age_seconds', {}, { role: STANDBY })).toBe(0.04);
    expect(told({ role: STANDBY }).has('quorate_local_disk_state')).toBe(true);
    expect(told({ role: WITNESS }).has('quorate_local_disk_state')).toBe(false);
  });
});
