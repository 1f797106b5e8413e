/** Logs for the page: a cluster's week with everything in it, and one of any number of tenures. */
import {
  type Entry,
  type EntryBody,
  type Epoch,
  GENESIS,
  logIndex,
  makeEntry,
  term,
} from '../../../src/core/index.ts';
import { sha256 } from '../../../src/log/index.ts';
import {
  type AuditParts,
  audit,
  auditParts,
  type CopyLoss,
  isoTime,
  keptBegin,
  keptText,
  lossText,
} from '../../../src/state/index.ts';
import {
  a,
  b,
  chain,
  config,
  elected,
  granted,
  inSync,
  note,
  outdated,
  released,
  START,
} from '../../state/story.ts';

const HOUR = 3_600_000;

export const takeover = (epoch: number, node: typeof a, at: number, totalMs = 46): EntryBody => ({
  ...{ kind: 'takeover-done', epoch: epoch as Epoch, node, ok: true, totalMs, at },
  steps: [{ name: 'block', ms: totalMs, result: 'ok' }],
});

/** Boot, a switchover, a power cut of the holder, a resync, an override, and a switchover back. */
export const WEEK: readonly Entry[] = chain(
  [0, config()],
  [1, elected(a, START, { reason: 'boot', detectMs: null, electMs: 315 })],
  [1, granted(a, START + 30)],
  [1, takeover(3, a, START + 80)],
  [1, operator('root@nas-a (quorate://nas-prod/a)', 'switchover to b', START + 30 * HOUR)],
  [1, released(3, a, START + 30 * HOUR + 40, { successor: b })],
  [2, elected(b, START + 30 * HOUR + 58, { reason: 'transfer', detectMs: 1.5, electMs: 14 })],
  [2, granted(b, START + 30 * HOUR + 71)],
  [2, takeover(8, b, START + 30 * HOUR + 110, 38)],
  [3, elected(a, START + 80 * HOUR, { detectMs: 1642, electMs: 31 })],
  [3, granted(a, START + 80 * HOUR + 52)],
  [3, outdated(b, 11)],
  [3, takeover(11, a, START + 80 * HOUR + 140, 85)],
  [3, inSync(b, 11)],
  [3, released(11, a, START + 121 * HOUR, { reason: 'failure' })],
  [4, elected(b, START + 121 * HOUR + 9000, { reason: 'released', detectMs: 3, electMs: 17 })],
  [
    4,
    {
      ...{ kind: 'forced', who: 'root@nas-b', why: 'a burned', mayLose: 'nothing known', node: b },
      at: START + 121 * HOUR + 60_000,
    },
  ],
  [4, granted(b, START + 121 * HOUR + 60_050)],
  [4, takeover(18, b, START + 121 * HOUR + 60_300, 240)],
  [4, operator('kim@desk', 'switchover to a', START + 150 * HOUR)],
);

function operator(who: string, action: string, at: number): EntryBody {
  return { kind: 'operator', who, action, at };
}

/** a and b in turns, an hour each. Four entries each, after the first. */
export function logOf(tenures: number): Entry[] {
  const entries: Entry[] = [];
  const add = (ownTerm: number, body: EntryBody): void => {
    const previous = entries.at(-1)?.hash ?? GENESIS;
    entries.push(makeEntry(sha256, logIndex(entries.length + 1), term(ownTerm), previous, body));
  };
  add(0, config());
  for (let count = 0; count < tenures; count += 1) {
    const node = count % 2 === 0 ? a : b;
    const at = START + count * HOUR;
    add(count + 1, elected(node, at, { reason: 'transfer' }));
    add(count + 1, granted(node, at + 20));
    const epoch = entries.length;
    add(count + 1, takeover(epoch, node, at + 70));
    add(count + 1, released(epoch, node, at + HOUR - 100));
  }
  return entries;
}

/** b takes over from copies of two pools, and a comes back with what only it had of one of them. */
export const LEFT_BEHIND: readonly Entry[] = chain(
  [0, config()],
  [1, elected(a, START, { reason: 'boot', detectMs: null, electMs: 315 })],
  [1, granted(a, START + 30)],
  [2, elected(b, START + 60_000, { detectMs: 1642, electMs: 31 })],
  [2, granted(b, START + 60_050)],
  [2, takeover(5, b, START + 60_300, 240)],
  [2, note(`epoch 5: ${lossText(since('tank', START + 18_050), isoTime)}`)],
  [
    2,
    note(
      `epoch 5: ${lossText({ kind: 'unknown', pool: 'big pool', why: 'nothing whole has come from a' }, isoTime)}`,
    ),
  ],
  [
    2,
    note(
      keptText(
        keptBegin(5, 'a', 'tank'),
        { upTo: 4711, bytes: 1_048_576, datasets: 2, largest: 'tank/.diverged/5/home' },
        'a',
        false,
      ),
    ),
  ],
);

function since(pool: string, takenAtMs: number): CopyLoss {
  return {
    ...{
      kind: 'since',
      pool,
      from: a,
      epoch: 3 as Epoch,
      snapshot: 'p7',
      takenAtMs,
      ageMs: START + 60_050 - takenAtMs,
    },
    of: { guid: '1234', dataset: `${pool}/home` },
  };
}

export const partsOf = (entries: readonly Entry[]): AuditParts => auditParts(entries, audit(entries, sha256));
