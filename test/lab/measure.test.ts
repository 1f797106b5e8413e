/** What a scenario's figures are made of. */

import { describe, expect, it } from 'vitest';
import { parseLook } from '../../cluster/lab/channel.ts';
import { longestGapMs, lostOf, parseAcknowledged } from '../../cluster/lab/client-host.ts';
import { eventOf, reportOf } from '../../cluster/lab/demo.ts';
import { maxHolders, type Proof } from '../../cluster/lab/holders.ts';
import { addressProofs } from '../../cluster/lab/observer.ts';
import { outageMs } from '../../cluster/lab/outage.ts';
import { splitOf } from '../../cluster/lab/split.ts';
import type { ScenarioResult } from '../../cluster/lab/stage.ts';
import type { Entry } from '../../src/core/index.ts';

describe('a look at a guest', () => {
  // As real guests said it.
  const drbd = (line: string): string =>
    `version: 8.4.11 (api:1/proto:86-101) srcversion: 059B1B470318F053F5077D5   ${line}`;

  it.each([
    [
      'a healthy Primary',
      '0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----',
      'Primary',
      false,
    ],
    [
      'one whose I/O is frozen',
      '0: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C s-----',
      'Primary',
      true,
    ],
    ['a Secondary', '0: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----', 'Secondary', false],
  ])('%s', (_what, line, role, isSuspended) => {
    expect(parseLook(`12.5|409|${drbd(line)}`)).toMatchObject({
      uptimeS: 12.5,
      writes: 409,
      role,
      isSuspended,
    });
  });

  it('a resource that is down, a witness without the device, and no line at all', () => {
    expect(parseLook(`3.1||${drbd('')}`)).toMatchObject({ writes: null, role: null, isSuspended: false });
    expect(parseLook('3.1||')).toMatchObject({ writes: null, role: null });
    expect(parseLook('')).toBeNull();
  });
});

describe('how many held at once', () => {
  const proof = (node: string, from: number, to: number): Proof => ({ node, from, to, by: 'device' });

  it('one after the other is one', () => {
    expect(maxHolders([])).toBe(0);
    expect(maxHolders([proof('a', 0, 10), proof('a', 10, 20), proof('b', 900, 910)])).toBe(1);
  });

  it('one between two proofs of the other, with no time to move there and back, is two', () => {
    expect(maxHolders([proof('a', 0, 10), proof('b', 20, 30), proof('a', 40, 50)])).toBe(2);
    expect(maxHolders([proof('a', 40, 50), proof('a', 0, 10), proof('b', 20, 30)])).toBe(2);
  });

  it('there and back takes its time, and what overlaps proves nothing', () => {
    expect(maxHolders([proof('a', 0, 10), proof('b', 2_000, 2_010), proof('a', 4_000, 4_010)])).toBe(1);
    expect(maxHolders([proof('a', 0, 25), proof('b', 20, 30), proof('a', 26, 50)])).toBe(1);
  });

  it('an acknowledgement counts for whom the address led to all the time', () => {
    const led = (from: number, node: 'a' | 'b' | null) => ({ from, to: from + 5, node });
    const leadings = [led(0, 'a'), led(100, 'a'), led(200, 'b'), led(300, 'b')];
    const asked = (askedAt: number, answeredAt: number) => ({ askedAt, answeredAt });
    expect(
      addressProofs([asked(50, 60), asked(110, 190), asked(210, 220), asked(350, 360)], leadings),
    ).toEqual([
      { node: 'a', from: 50, to: 60, by: 'address' },
      { node: 'b', from: 210, to: 220, by: 'address' },
    ]);
  });
});

describe('outage', () => {
  const at = (...times: number[]) => times.map((answeredAt) => ({ askedAt: answeredAt - 1, answeredAt }));
  it('is the longest gap from the fault on, also one that has not ended', () => {
    expect(outageMs(at(5, 10, 700, 710), 10, 715)).toBe(690);
    expect(outageMs(at(5, 10), 12, 500)).toBe(488);
    expect(outageMs(at(0, 400, 410), 405, 420)).toBe(10);
  });
});

describe('split', () => {
  const entry = (index: number, body: object): Entry => ({ index, term: 2, body }) as unknown as Entry;
  const log = [
    entry(4, { kind: 'elected', leader: 'b', detectMs: 2_650.4, electMs: 12.2, at: 1_000 }),
    entry(5, { kind: 'tenure-granted', node: 'b', at: 1_040 }),
    entry(6, { kind: 'peer-outdated', peer: 'a', epoch: 5 }),
    entry(7, {
      kind: 'takeover-done',
      epoch: 5,
      node: 'b',
      ok: true,
      steps: [
        { name: 'block', ms: 300 },
        { name: 'data', ms: 80 },
        { name: 'port2', ms: 50 },
        { name: 'eip', ms: 25.4 },
        { name: 'store', ms: 60 },
      ],
    }),
  ];
  it('takes the last complete takeover apart', () => {
    expect(splitOf(log, 3)).toEqual({
      detectMs: 2650,
      electMs: 12,
      fenceMs: 40,
      drbdMs: 300,
      poolMs: 80,
      addressMs: 75,
      serviceMs: 60,
    });
  });
  it('is none where nobody took over since, or it failed', () => {
    expect(splitOf(log, 7)).toBeNull();
    expect(splitOf(log.slice(0, 3), 0)).toBeNull();
  });
});

describe('the report of the demo', () => {
  const result = (changes: Partial<ScenarioResult> = {}): ScenarioResult => ({
    scenario: 'power-cut',
    engine: 'uml',
    ok: true,
    outageMs: 6000,
    split: {
      detectMs: 5600,
      electMs: 20,
      fenceMs: 50,
      drbdMs: 900,
      poolMs: 100,
      addressMs: 300,
      serviceMs: 200,
    },
    writes: { acknowledged: 500, lost: 0 },
    clients: [],
    maxHolders: 1,
    failures: [],
    notes: [],
    ...changes,
  });
  const done = (node: string, epoch: number): Entry =>
    ({
      index: 9,
      term: 2,
      body: { kind: 'takeover-done', ok: true, node, epoch, totalMs: 1200, steps: [] },
    }) as unknown as Entry;

  it('a scene that moved the role has its times, one that did not has the outage alone', () => {
    expect(eventOf(result(), 'a', [done('b', 7)], 3)).toEqual({
      name: 'power-cut',
      from: 'a',
      to: 'b',
      detectMs: 5600,
      electMs: 20,
      takeoverMs: 1200,
      outageMs: 6000,
    });
    expect(eventOf(result({ split: null }), 'a', [done('a', 3)], 3)).toMatchObject({
      from: 'a',
      to: 'a',
      detectMs: null,
      takeoverMs: null,
      outageMs: 6000,
    });
  });

  it('adds the writes, takes the worst count of holders, and an empty log is not whole', () => {
    const both = [result({ maxHolders: 2 }), result({ writes: { acknowledged: 20, lost: 3 } })];
    expect(reportOf(both, [], [])).toMatchObject({
      writes: { acknowledged: 520, lost: 3 },
      maxHolders: 2,
      audit: { ok: false },
    });
  });
});

describe('the clients of NFS and iSCSI', () => {
  const record = (way: string, number: number): string => `${`${way} record ${number}`.padEnd(511)}\n`;
  const acknowledged = parseAcknowledged('1 10.00\n2 11.50\n3 71.75\n4 7');

  it('a line that was cut off is no acknowledgement', () => {
    expect(acknowledged.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it('the longest gap', () => {
    expect(longestGapMs(acknowledged)).toBe(60_250);
    expect(longestGapMs([])).toBe(0);
  });

  it.each([
    ['all there', ['nfs4', 1], ['nfs4', 2], ['nfs4', 3], []],
    ['one of another client', ['nfs4', 1], ['nfs3', 2], ['nfs4', 3], [2]],
    ['an older one in its place', ['nfs4', 1], ['nfs4', 1], ['nfs4', 3], [2]],
  ] as const)('%s', (_name, one, two, three, lost) => {
    const content = '\0'.repeat(512) + [one, two, three].map(([way, number]) => record(way, number)).join('');
    expect(lostOf('nfs4', acknowledged, Buffer.from(content, 'latin1'))).toEqual(lost);
  });

  it('a file that ends too early', () => {
    const content = Buffer.from('\0'.repeat(512) + record('iscsi', 1) + record('iscsi', 2), 'latin1');
    expect(lostOf('iscsi', acknowledged, content)).toEqual([3]);
    expect(lostOf('iscsi', acknowledged, content.subarray(0, -1))).toEqual([2, 3]);
  });
});
