/** The page as text: what it must say, what it must not let through, and how it stays small. */
import { describe, expect, it } from 'vitest';
import { escapeText } from '../../../src/cli/audit-page/html.ts';
import { renderPage } from '../../../src/cli/audit-page/index.ts';
import { largest, newest, TIMELINE_CELLS } from '../../../src/cli/audit-page/limits.ts';
import { timelineOf } from '../../../src/cli/audit-page/timeline.ts';
import { type Entry, nodeId } from '../../../src/core/index.ts';
import { windowed } from '../../../src/state/index.ts';
import { a, b, chain, config, elected, granted, START } from '../../state/story.ts';
import { LEFT_BEHIND, logOf, partsOf, takeover, WEEK } from './logs.ts';

const pageOf = (entries: readonly Entry[]): string => renderPage(partsOf(entries), 'nas-prod');

describe('one page that needs nothing else', () => {
  const page = pageOf(WEEK);

  it('loads nothing, runs nothing, and forbids both', () => {
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed|form|base)\b/i);
    expect(page).not.toMatch(/\son[a-z]+\s*=|\sstyle\s*=|javascript:|@import/i);
    expect(page.match(/url\([^)]*\)/g)).toEqual(['url(#hatch)', 'url(#many)', 'url(#many-gaps)']);
    expect(page).not.toMatch(/\b(src|href)\s*=/i);
    expect(page).toMatch(
      /http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;sha256-[^;]+&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;"/,
    );
  });

  it('says in tables what the picture shows', () => {
    const text = page.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
    expect(text).toContain('a → b switchover 31 ms noticing 4 ms, election 14 ms, grant 13 ms 38 ms');
    expect(text).toContain(
      'b → a it fell silent: no release is in the log about 1.73 s, since its last sign noticing 1.64 s, election 31 ms, grant 52 ms 85 ms',
    );
    expect(text).toContain('a → b a resource failed 1 min 0 s');
    expect(text).toContain('kim@desk switchover to a');
    expect(text).toContain('root@nas-b forced b to hold: a burned (may lose nothing known)');
    expect(text).toContain('No rule is broken');
  });

  it('has one heading of the first order, and sections under it', () => {
    expect(page.match(/<h1/g)).toHaveLength(1);
    expect([...page.matchAll(/<h2 id="(\w+)"/g)].map(([, id]) => id)).toEqual([
      ...['violations', 'timeline', 'gaps', 'tenures', 'elections', 'operators', 'log'],
    ]);
  });
});

describe('data that takeovers left behind', () => {
  const text = pageOf(LEFT_BEHIND)
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ');

  it('is in a table, with its window, and what of it was found later', () => {
    expect(text).toContain('5 b tank 2026-01-02 03:04:23.728 42 s 1 MiB in 2 datasets, kept on a');
    expect(text).toContain('5 b big pool what was there not known nothing whole has come from a');
  });

  it('and in the picture, from the newest whole copy to the grant', () => {
    const lane = timelineOf(partsOf(LEFT_BEHIND))?.lanes.find(({ kind }) => kind === 'lost');
    expect(lane).toMatchObject({
      kind: 'lost',
      bars: [{ count: 1, what: 'tank, by the takeover of epoch 5' }],
    });
    const [bar] = lane?.kind === 'lost' ? lane.bars : [];
    expect((bar?.to ?? 0) - (bar?.from ?? 0)).toBeGreaterThan(0.6);
  });

  it('where there is none nothing is said of it', () => {
    const page = pageOf(WEEK);
    expect(page).not.toContain('id="losses"');
    expect(page).not.toContain('left behind');
  });

  it('is shown to who asks for a node that it concerns', () => {
    const of = (node: string) =>
      windowed(partsOf(LEFT_BEHIND), { since: null, until: null, node: nodeId(node) }).losses.length;
    expect(['a', 'b', 'w'].map(of)).toEqual([1, 2, 0]);
    const later = { since: START + 90_000, until: null, node: null };
    expect(windowed(partsOf(LEFT_BEHIND), later).losses).toEqual([]);
  });
});

describe('what the log says is text, whatever it says', () => {
  const hostile = `</td><script>alert(1)</script><img src=x onerror="a('b')">\u202Egnp\u0000`;
  const escaped =
    '&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;\ufffdgnp\ufffd';
  const log = chain(
    [0, config({ cluster: hostile })],
    [1, elected(a, START)],
    [1, { kind: 'operator', who: hostile, action: hostile, at: START }],
    [1, { kind: 'note', text: hostile }],
  );

  it('in every place where it can stand', () => {
    const page = renderPage(partsOf(log), hostile);
    expect(page).not.toContain('<script');
    expect(page).not.toContain('<img');
    expect(page).not.toContain('\u202e');
    // Title, heading, mark of the timeline, who and what twice (as action, in the log), note.
    expect(page.split(escaped).length - 1).toBe(8);
  });

  it('leaves what is harmless as it is', () => {
    expect(escapeText('Größe → 3\n')).toBe('Größe → 3\n');
  });
});

describe('any length', () => {
  it('nothing at all', () => {
    const page = renderPage(partsOf([]), null);
    expect(page).toContain('Audit of an unknown cluster');
    expect(page).toContain('Nothing in it has a time: there is no timeline.');
    expect(page).toContain('Nobody was ever allowed to hold.');
  });

  it('one tenure that runs reaches the end, and has no gap', () => {
    const timeline = timelineOf(partsOf(logOf(1).slice(0, 4)));
    const held = timeline?.lanes.find(({ kind }) => kind === 'held');
    expect(held).toMatchObject({ name: 'a', bars: [{ to: 1, count: 1 }] });
    expect(timeline).toMatchObject({ merged: 0, unplaced: 0 });
  });

  it('1,000 tenures: a picture of bounded size, and what is left out is said with its number', () => {
    const parts = partsOf(logOf(1000));
    const timeline = timelineOf(parts);
    const bars =
      timeline?.lanes.flatMap((lane): { count: number }[] => [
        ...(lane.kind === 'marks' ? lane.marks : lane.bars),
      ]) ?? [];
    expect(bars.length).toBeLessThan(2 * TIMELINE_CELLS);
    // Nobody is lost: what is not drawn by itself is counted where it is.
    expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(3000);
    expect(timeline?.merged).toBe(3000 - bars.length);
    const page = renderPage(parts, 'nas-prod');
    expect(page).toContain(`${timeline?.merged} bars and marks lie too close`);
    expect(page).toContain('50 shown, 950 shorter ones left out');
    expect(page).toContain('200 shown, 800 older ones left out');
    expect(page).toContain('500 shown, 3501 older entries left out');
    expect(page.length).toBeLessThan(500_000);
  });

  it('a gap of milliseconds in a log of months is drawn', () => {
    const month = 30 * 86_400_000;
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(a, START + 20)],
      [2, elected(b, START + 6 * month)],
      [2, granted(b, START + 6 * month + 30)],
      [2, takeover(5, b, START + 12 * month)],
    );
    expect(pageOf(log)).toMatch(/<g class="nobody">.*<line [^>]*stroke-width="3"\/>/);
  });
});

describe('thinning', () => {
  it('keeps the newest', () => {
    expect(newest([1, 2, 3], 2)).toEqual({ rows: [2, 3], leftOut: 1 });
    expect(newest([1, 2, 3], 3)).toEqual({ rows: [1, 2, 3], leftOut: 0 });
  });

  it('keeps the largest in their own order, the newer of equal ones', () => {
    expect(largest([5, 1, 9, 5, null], 2, (row) => row)).toEqual({ rows: [9, 5], leftOut: 3 });
    expect(largest([5, 1], 2, (row) => row)).toEqual({ rows: [5, 1], leftOut: 0 });
  });
});

describe('a part of the log', () => {
  it('says so, and draws a tenure that runs through a span without entries', () => {
    const since = START + 10 * 3_600_000;
    const until = START + 20 * 3_600_000;
    const parts = windowed(partsOf(WEEK), { since, until, node: nodeId('a') });
    expect(timelineOf(parts)).toMatchObject({
      lanes: expect.arrayContaining([expect.objectContaining({ name: 'a' })]),
    });
    const page = renderPage(parts, 'nas-prod');
    expect(page).toContain('Shown: from 2026-01-02T13:04:05.678Z to 2026-01-02T23:04:05.678Z');
    expect(page).toContain('The chain and the violations are of the whole log.');
  });
});
