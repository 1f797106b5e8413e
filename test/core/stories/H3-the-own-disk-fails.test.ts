import { expect, test } from 'vitest';
import { Table } from '../../support/story.ts';

/** The kernel's DRBD goes on over the peer's disk, whatever becomes of the agents. */
function holderWithoutDisk(table: Table): void {
  expect(table.propose('a', { kind: 'self-outdated' })).toBe('accepted');
}

function table(): Table {
  const made = new Table();
  made.elect('a');
  return made;
}

test('H3: the role moves to who is in sync and there', () => {
  const story = table();
  holderWithoutDisk(story);
  expect(story.see('a')).toMatchObject({ inSync: ['b'], releasing: true });
  story.released('a');
  expect(story.holders).toEqual(['b']);
});

test('H3: it stays where nobody is there to take it, and moves once somebody is', () => {
  const story = table();
  story.crash('b');
  story.pass(1_000);
  holderWithoutDisk(story);
  for (let second = 0; second < 60; second += 1) {
    story.pass(1_000);
    expect(story.see('a')).toMatchObject({ mayHold: true, releasing: false, term: 1 });
  }
  story.boot('b');
  story.until('a releases', () => story.see('a').releasing);
  story.released('a');
  story.until('b holds', () => story.see('b').mayHold);
});

test('H3: who dies while it is waited for is no reason to give everything up', () => {
  const story = table();
  story.lets = (message) => !(message.kind === 'append' && message.to === 'b');
  holderWithoutDisk(story);
  story.pass(200);
  expect(story.see('a')).toMatchObject({ inSync: ['b'], mayHold: true, releasing: false });
  story.crash('b');
  story.pass(10 * story.see('a').promiseMs);
  expect(story.see('a')).toMatchObject({ role: 'leader', mayHold: true, releasing: false, term: 1 });
  expect(story.note('a', 'open')).toBe('accepted');
});

test('H3, R1: what is busy is not tried again and again, each time with its services stopped, but later and later', () => {
  const story = table();
  holderWithoutDisk(story);
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    expect(story.see('a').releasing).toBe(true);
    story.pass(5_000);
    story.releaseFailed('a');
    expect(story.see('a')).toMatchObject({ role: 'leader', mayHold: true, releasing: false });
    const since = story.now;
    story.until('a tries again', () => story.see('a').releasing, 1_000_000);
    pauses.push(Math.round((story.now - since) / 60_000));
  }
  expect(pauses).toEqual([1, 2, 4, 8]);
  story.released('a');
  expect(story.holders).toEqual(['b']);
});

test('H2, H6: a tenure in which nothing could be taken is let go of also where nobody else is there: only another one can try again', () => {
  const story = table();
  story.crash('b');
  story.pass(1_000);
  const { term } = story.see('a');
  story.failed('a');
  story.until('a releases', () => story.see('a').releasing, 5_000);
  story.released('a');
  story.until('a holds again', () => story.see('a').mayHold, 60_000);
  expect(story.see('a').term).toBeGreaterThan(term);
});
