/** DRBD 9's quorum and its tie-breaker, judged beside our own guard: what it adds, and what it cannot replace (H3, W4). */
import { describe, expect, it } from 'vitest';
import { judgeQuorum } from '../../src/doctor/drbd-quorum.ts';
import { parseDump } from '../../src/doctor/drbd-settings.ts';
import type { Finding } from '../../src/doctor/report.ts';
import { text } from '../deployments/support/files.ts';
import { brief, one } from './support.ts';

const SHIPPED = text('cluster/host/r0-drbd9.res');
/** The shipped file with one text replaced, judged. */
function judged(from = '', to = '', witness: string | null = 'w'): readonly Finding[] {
  if (!SHIPPED.includes(from)) throw new Error(`the shipped file has no ${from}`);
  const config = parseDump(SHIPPED.replace(from, to), 'r0');
  if (config === null) throw new Error('not understood');
  return judgeQuorum({ resource: 'r0', settings: config.settings, config, witness });
}

describe("DRBD 9's quorum", () => {
  it('as it is shipped', () => {
    expect(brief(judged())).toEqual(['ok r0 tie-breaker', 'ok r0 no quorum', 'ok r0 handler']);
  });

  it.each([
    ['all', 'quorum majority', 'quorum all', 'r0 tie-breaker', 'failed', 'W4'],
    ['of all by number', 'quorum majority', 'quorum 3', 'r0 tie-breaker', 'failed', 'W4'],
    ['a witness with a disk', 'disk      none', 'disk /dev/sdb', 'r0 tie-breaker', 'warning', 'W1'],
    ['another third host', 'on w {', 'on x {', 'r0 tie-breaker', 'warning', 'none of them'],
    ['suspend-io', 'on-no-quorum io-error', 'on-no-quorum suspend-io', 'r0 no quorum', 'warning', 'hang'],
    ['its default', 'on-no-quorum io-error;', '', 'r0 no quorum', 'warning', 'suspend-io'],
    ['going on', 'on-no-quorum io-error', 'on-no-quorum ignore', 'r0 no quorum', 'failed', 'go on'],
    ['without fencing', 'fencing resource-and-stonith', 'fencing dont-care', 'r0 handler', 'warning', 'H3'],
    ['with a foreign handler', '/usr/local/bin/quorate', '/bin/true', 'r0 handler', 'warning', 'H3'],
    ['off, with the witness', 'quorum majority', 'quorum off', 'r0 tie-breaker', 'warning', 'breaks no tie'],
  ])('%s', (_what, from, to, subject, result, words) => {
    const finding = one(judged(from, to), subject);
    expect(finding.result).toBe(result);
    expect(finding.detail).toContain(words);
  });

  it('says in every finding that it is untested', () => {
    for (const { detail } of [
      ...judged(),
      ...judged('quorum majority', 'quorum all'),
      ...judged('on w {', 'on x {'),
    ])
      expect(detail).toContain('untested');
  });

  it('off, without anybody to break a tie, is no concern: the lease and the handler decide', () => {
    expect(judged('quorum majority', 'quorum off', null)).toEqual([]);
    const pair = parseDump(text('cluster/host/r0.res'), 'r0');
    if (pair === null) throw new Error('not understood');
    expect(judgeQuorum({ resource: 'r0', settings: pair.settings, config: pair, witness: 'w' })).toEqual([]);
  });

  it('of hosts that cannot be read is unknown', () => {
    const { settings } = parseDump(SHIPPED, 'r0') ?? {};
    if (settings === undefined) throw new Error('not understood');
    const findings = judgeQuorum({ resource: 'r0', settings, config: null, witness: 'w' });
    expect(one(findings, 'r0 tie-breaker').result).toBe('unknown');
  });
});
