/** The status page as a browser sees it, served by the real server under its own policy. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { epoch, instant, nodeId, term } from '../../../src/core/index.ts';
import type { StatusFacts } from '../../../src/http/index.ts';
import { MAX_READERS } from '../../../src/http/status-page/index.ts';
import { POOLS, RESYNCS } from '../../admin/fake.ts';
import { Browser, CHROMIUM, type Opened, picture, runAxe, type View } from '../../support/browser.ts';
import { HOLDER, NOW, STANDBY } from '../facts.ts';
import { PageServer } from './page-server.ts';
import { statusFacts, TAKEOVERS, WALL } from './status-facts.ts';

const LIMIT_MS = 60_000;
/** With QUORATE_SCREENSHOTS=1 the pictures of the docs are made anew (scripts/screenshots). */
const IMAGES = fileURLToPath(new URL('../../../docs/images', import.meta.url));

const BEGAN = performance.now();
const WAIT = { timeout: 20_000 };

/** As at a running agent: its clocks go on, whatever it tells. */
function running(facts: StatusFacts): () => StatusFacts {
  // Copies are as old as they are when it begins, and older from then on.
  const beganAfterMs = performance.now() - BEGAN;
  const replication = facts.status.replication.map((one) => ({
    ...one,
    upTo: one.upTo === null ? null : new Date(Date.parse(one.upTo) + beganAfterMs).toISOString(),
  }));
  return () => {
    const { role } = facts.metrics;
    const passedMs = performance.now() - BEGAN;
    const now = instant(role.now + passedMs);
    const leaseUntil = role.leaseUntil === null ? null : instant(now + 300 + ((passedMs / 7) % 290));
    const { following } = role;
    const heard = following && { ...following, heardAt: instant(following.heardAt + passedMs) };
    const metrics = { ...facts.metrics, role: { ...role, now, leaseUntil, following: heard } };
    return { ...facts, status: { ...facts.status, replication }, metrics, wallMs: facts.wallMs + passedMs };
  };
}

/** The tenure of the last of the takeovers. */
const TENURE = {
  tenure: { node: nodeId('a'), epoch: epoch(23) },
  held: { epoch: epoch(23), isComplete: true },
};
const WELL = statusFacts({
  metrics: { role: { ...HOLDER, ...TENURE, term: term(9) } },
  status: {
    ...{ term: 9, epoch: 23, commitIndex: 24 },
    nodes: statusFacts().status.nodes.map((node) => ({ ...node, matchIndex: 24 })),
  },
});

const [aNode, bNode, wNode] = WELL.status.nodes;
if (aNode === undefined || bNode === undefined || wNode === undefined) throw new Error('three nodes');

/** `b` has lost its power. */
const ALONE = statusFacts({
  metrics: {
    role: { ...HOLDER, ...TENURE, term: term(9) },
    probes: { peers: { b: 'not-in-sync' }, ioSuspended: false, resources: [] },
  },
  status: {
    ...{ term: 9, epoch: 23, commitIndex: 25 },
    nodes: [
      { ...aNode, matchIndex: 25 },
      { ...bNode, reachable: false, role: 'unreachable', inSync: false, matchIndex: 24 },
      { ...wNode, matchIndex: 25 },
    ],
  },
  facts: { answering: ['w'] },
});

/** `b` is back and gets what it has missed; an operator wants it to hold tonight. */
const RESYNCING = statusFacts({
  metrics: {
    role: { ...HOLDER, ...TENURE, term: term(9) },
    probes: { peers: { b: 'not-in-sync' }, ioSuspended: false, resources: WELL.status.resources },
  },
  status: {
    ...{ term: 9, epoch: 23, commitIndex: 27, resync: RESYNCS },
    scheduled: {
      ...{ id: 27, to: 'b', at: '2026-01-08T22:00:00.000Z', until: '2026-01-08T22:01:00.000Z' },
      ...{ epoch: 23, who: 'alice', why: 'new switch' },
      ...{ state: 'waiting', outcome: null, result: null },
    },
    nodes: [
      { ...aNode, matchIndex: 27 },
      { ...bNode, inSync: false, matchIndex: 27 },
      { ...wNode, matchIndex: 27 },
    ],
  },
});

/** Two pools that snapshots keep alike, as the node that sends them sees it: one is well, one is not. */
const [TANK, VAULT] = POOLS;
if (TANK === undefined || VAULT === undefined) throw new Error('two pools');
const beforeNow = (ms: number): string => new Date(WALL - ms).toISOString();
const SENDING = statusFacts({
  metrics: { role: { ...HOLDER, ...TENURE, term: term(9) } },
  status: {
    ...{ term: 9, epoch: 23, commitIndex: 24 },
    nodes: WELL.status.nodes,
    resources: [
      { name: 'tank', kind: 'replicated-pool', probe: 'held', detail: 'tank can be written to, 5 mounted' },
      { name: 'vault', kind: 'replicated-pool', probe: 'held', detail: 'vault can be written to, 2 mounted' },
      { name: 'vip', kind: 'virtual-ip', probe: 'held', detail: '10.0.0.50/24 on eth1' },
      { name: 'nfs', kind: 'service', probe: 'held', detail: 'active' },
    ],
    replication: [
      { ...VAULT, role: 'source', peer: 'b', upTo: beforeNow(42_000), byItself: null },
      { ...TANK, upTo: beforeNow(1_260_000) },
    ],
  },
});

/** The same as `b` sees it, which receives. */
const RECEIVING = statusFacts({
  status: {
    observer: 'b',
    nodes: WELL.status.nodes,
    resources: [
      {
        name: 'tank',
        kind: 'replicated-pool',
        probe: 'not-held',
        detail: 'tank is read-only, nothing mounted',
      },
      { name: 'vault', kind: 'replicated-pool', probe: 'not-held', detail: 'vault is read-only' },
    ],
    replication: [
      { ...VAULT, peer: 'a', upTo: beforeNow(42_000), byItself: 'yes' },
      { ...VAULT, pool: 'tank', peer: 'a', upTo: beforeNow(1_260_000) },
    ],
  },
  metrics: { role: { ...STANDBY, now: HOLDER.now } },
  facts: { answering: null },
});

/** The holder has lost its mirror, and more. */
const ILL = statusFacts({
  status: {
    nodes: [aNode, { ...bNode, reachable: false, role: 'unreachable', inSync: false, matchIndex: 9 }, wNode],
    paused: true,
    resync: RESYNCS,
  },
  metrics: {
    role: { ...HOLDER, degraded: ['nfs: systemctl start failed 3 times; b is not in the in-sync set'] },
    probes: { peers: { b: 'not-in-sync' }, ioSuspended: true, resources: [] },
  },
  facts: {
    answering: ['w'],
    failedChecks: ['watchdog: /dev/watchdog is softdog'],
    takeovers: TAKEOVERS.slice(0, 3),
    wallMs: Date.UTC(2026, 11, 20),
  },
});

/** A follower that hears nobody any more. */
const CUT_OFF = statusFacts({
  status: {
    ...{ observer: 'b', leader: 'a', quorum: true },
    nodes: [
      { ...aNode, reachable: false, role: 'leader', matchIndex: null },
      { ...bNode, role: 'follower' },
      { ...wNode, reachable: false, role: 'unreachable', matchIndex: null },
    ],
  },
  metrics: {
    role: {
      ...HOLDER,
      ...{ node: nodeId('b'), role: 'follower', leaseUntil: null, held: null, behind: 0 },
      ...{ disk: 'unknown', executor: 'lost' },
      following: { leader: nodeId('a'), heardAt: instant(NOW - 4_000) },
    },
    probes: null,
  },
  facts: { answering: null, failedChecks: null },
});

const TAKING = statusFacts({
  metrics: { role: { ...HOLDER, held: { epoch: epoch(8), isComplete: false } } },
  facts: { tenure: { grantedAt: '2026-01-08T09:10:10.900Z', isTaken: false } },
});

const EMPTY = statusFacts({
  status: { nodes: [], cluster: 'nas-prod', resources: [], leader: null, holder: null, epoch: null },
  metrics: { role: { ...HOLDER, kind: null, role: 'follower', leaseUntil: null, tenure: null, held: null } },
  facts: { takeovers: [], tenure: null, answering: null },
});

const STATES = {
  ...{ well: WELL, alone: ALONE, ill: ILL, 'cut off': CUT_OFF, taking: TAKING, empty: EMPTY },
  ...{ sending: SENDING, receiving: RECEIVING },
};
const VIEWS: readonly View[] = [
  { width: 360 },
  { width: 360, isDark: true },
  { width: 1280 },
  { width: 1280, isDark: true },
];

describe.skipIf(CHROMIUM === null)('in Chromium (skipped where none is installed)', () => {
  let browser: Browser;
  let server: PageServer;
  beforeAll(async () => {
    browser = await Browser.start(CHROMIUM ?? '');
    server = await PageServer.start({ hasPage: true });
  }, LIMIT_MS);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  beforeEach(() => {
    server.facts = running(WELL);
  });

  async function live(view: View, bypassCSP = false): Promise<Opened> {
    const opened = await browser.open(server.url, view, bypassCSP);
    await opened.page.locator('.live').waitFor();
    return opened;
  }

  for (const [name, facts] of Object.entries(STATES))
    for (const view of VIEWS)
      it(
        `${name}, ${view.width} px${view.isDark ? ', dark' : ''}: under its own policy, as wide as the screen; axe objects to nothing`,
        async () => {
          server.facts = running(facts);
          const { page, complaints, asked } = await live(view);
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width);
          expect(await page.evaluate('getComputedStyle(document.querySelector("main")).maxWidth')).toBe(
            '1200px',
          );
          expect(complaints).toEqual([]);
          expect(new Set(asked.map((url) => new URL(url).origin))).toEqual(
            new Set([new URL(server.url).origin]),
          );
          if (process.env.QUORATE_SCREENSHOTS_ALL !== undefined) {
            const file = `${name}-${view.width}${view.isDark ? '-dark' : ''}.png`;
            writeFileSync(
              join(process.env.QUORATE_SCREENSHOTS_ALL, file),
              await picture(page, Number(process.env.QUORATE_SHOT_LIMIT ?? 4000)),
            );
          }
          const found = await runAxe((await live(view, true)).page);
          expect(found.violations).toEqual([]);
          // It has looked: contrast is what it cannot judge where it cannot see.
          expect(found.passed).toContain('color-contrast');
          expect(found.passed).toContain('landmark-one-main');
        },
        LIMIT_MS,
      );

  it(
    'a change is shown and read aloud; numbers that move are not',
    async () => {
      const { page } = await live({ width: 1280 });
      const ears = page.locator('[role=status]');
      await expect.poll(() => ears.textContent(), WAIT).toBe('Live. a holds. No warnings.');
      const time = page.locator('.live time');
      const before = await time.getAttribute('datetime');
      await expect.poll(() => time.getAttribute('datetime'), WAIT).not.toBe(before);
      expect(await ears.textContent()).toBe('Live. a holds. No warnings.');
      server.change(running(ILL));
      await expect.poll(() => page.locator('.warnings li').count(), WAIT).toBeGreaterThan(5);
      expect(await ears.textContent()).toContain('b cannot be reached from a.');
      server.change(running(CUT_OFF));
      await expect.poll(() => page.locator('#holder').textContent(), WAIT).toContain('Not known who holds');
      expect(await ears.textContent()).toContain('Not known who holds.');
      // Neither a tenure of the log nor a leader of before is told as present.
      expect(await page.locator('.node.holder').count()).toBe(0);
      expect(await page.locator('main').textContent()).toContain('Another may hold by now.');
    },
    LIMIT_MS,
  );

  it(
    'a resync has a bar with a value for ears; one whose progress is not known has no value, and no bar',
    async () => {
      const { page } = await live({ width: 360 });
      const bars = page.locator('[role=progressbar]');
      expect(await bars.count()).toBe(0);
      server.change(running(ILL));
      await expect.poll(() => bars.count(), WAIT).toBe(2);
      const known = bars.nth(0);
      expect(await known.getAttribute('aria-label')).toBe('Resync of block volume 0');
      expect(await known.getAttribute('aria-valuenow')).toBe('18');
      expect(await known.getAttribute('aria-valuemax')).toBe('100');
      const part = (await known.locator('.done').boundingBox())?.width ?? 0;
      const whole = (await known.locator('.track').boundingBox())?.width ?? 0;
      expect(part / whole).toBeCloseTo(0.1876, 1);
      expect(await page.locator('.progress li').nth(0).textContent()).toContain('52 MiB to go');
      expect(await bars.nth(1).getAttribute('aria-valuenow')).toBeNull();
      expect(await bars.nth(1).getAttribute('aria-valuetext')).toBe('not known');
      expect(await bars.nth(1).locator('.done').count()).toBe(0);
    },
    LIMIT_MS,
  );

  it(
    'replication: how old each copy is, what is on its way, and what needs somebody; nothing where nothing is replicated',
    async () => {
      const { page } = await live({ width: 1280 });
      const section = page.locator('section[aria-labelledby=replication]');
      expect(await section.count()).toBe(0);
      server.change(running(SENDING));
      await section.waitFor();
      const cells = section.locator('tbody tr').nth(1).locator('td');
      expect(await section.locator('tbody th').allTextContents()).toEqual(['vault', 'tank']);
      expect(await cells.nth(0).textContent()).toBe('to b');
      expect(await cells.nth(2).textContent()).toBe('21 min');
      const first = section.locator('tbody tr').nth(0).locator('td');
      // The age goes on without the node telling anything new.
      const lag = await first.nth(2).textContent();
      expect(lag).toMatch(/^\d+ s$/);
      await expect.poll(() => first.nth(2).textContent(), WAIT).not.toBe(lag);
      const bars = section.locator('[role=progressbar]');
      expect(await bars.nth(0).getAttribute('aria-label')).toBe('Stream of tank/bulk');
      expect(await bars.nth(0).getAttribute('aria-valuenow')).toBe('25');
      expect(await bars.nth(1).getAttribute('aria-valuenow')).toBeNull();
      const text = await section.textContent();
      expect(text).toContain('tank/bulk: 1 GiB of 4 GiB, 64 MiB/s, 48 s left');
      expect(text).toContain('Conflict tank/mail: b has @by-hand that a does not have');
      expect(text).toContain('Late tank/home: its copy is older than 3 periods');
      expect(await page.locator('.warnings').textContent()).toContain('The copy of tank on b is late.');
      expect(await section.locator('thead th').allTextContents()).not.toContain('A takeover');
      server.change(running(RECEIVING));
      await expect.poll(() => cells.nth(0).textContent(), WAIT).toBe('from a');
      expect(await cells.nth(3).textContent()).toBe('not by itself: too old');
      expect(await first.nth(3).textContent()).toBe('by itself');
      expect(await bars.count()).toBe(0);
    },
    LIMIT_MS,
  );

  it(
    'without a connection nothing is shown as present; the news come back by themselves',
    async () => {
      const { page } = await live({ width: 360 });
      const { port } = server;
      const lost = page.locator('.lost');
      await server.close();
      try {
        await lost.waitFor();
        expect(await lost.textContent()).toMatch(
          /No news.*has ended.*Last news: 2026-01-08 09:\d\d:\d\d UTC/,
        );
        expect(await page.locator('#holder').isVisible()).toBe(false);
        expect(await page.locator('.live').count()).toBe(0);
        expect(await page.locator('[role=status]').textContent()).toContain('not known');
        // What was so is there for who asks, under its time.
        await page.locator('.past summary').click();
        expect(await page.locator('.past #holder').isVisible()).toBe(true);
      } finally {
        await server.open(port);
      }
      await page.locator('.live').waitFor();
      expect(await lost.count()).toBe(0);
    },
    LIMIT_MS,
  );

  for (const view of VIEWS)
    it(
      `without news, ${view.width} px${view.isDark ? ', dark' : ''}: axe objects to nothing`,
      async () => {
        const { page } = await live(view, true);
        const { port } = server;
        await server.close();
        try {
          await page.locator('.past summary').click();
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width);
          expect((await runAxe(page)).violations).toEqual([]);
        } finally {
          await server.open(port);
        }
      },
      LIMIT_MS,
    );

  it(
    'a node that is there and says nothing: after three seconds nothing is present',
    async () => {
      const { page } = await live({ width: 360 });
      server.facts = () => {
        throw new Error('no');
      };
      const lost = page.locator('.lost');
      await lost.waitFor();
      expect(await lost.textContent()).toContain('sends no news');
      server.facts = running(WELL);
      await page.locator('.live').waitFor();
    },
    LIMIT_MS,
  );

  it(
    'a page that had to wait in a buffer is not present, however fast it comes then',
    async () => {
      const { page } = await live({ width: 360 });
      // The pulses' own clock falls behind by four seconds, as of news that have been under way for so long.
      const { metrics } = WELL;
      const late = { ...metrics.role, now: instant(metrics.role.now - 4_000) };
      server.facts = running({ ...WELL, metrics: { ...metrics, role: late } });
      await page.locator('.lost').waitFor();
      expect(await page.locator('.lost').textContent()).toContain('sends no news');
    },
    LIMIT_MS,
  );

  it(
    'a node with as many readers as it takes says so',
    async () => {
      // That of the test before has a place too, until the server has heard that it went.
      await browser.closePage();
      const readers: Response[] = [];
      const taken = async (): Promise<number> => {
        const reader = await fetch(`${server.url}events`);
        if (reader.ok) readers.push(reader);
        else await reader.body?.cancel();
        return readers.length;
      };
      await expect.poll(taken, WAIT).toBe(MAX_READERS);
      const { page } = await browser.open(server.url, { width: 360 });
      await page.locator('.lost').waitFor();
      await expect
        .poll(() => page.locator('.lost').textContent(), WAIT)
        .toContain('as many readers as it takes');
      expect(await page.locator('.lost').textContent()).toContain('Nothing was heard yet.');
      for (const { body } of readers) await body?.cancel();
      await page.locator('.live').waitFor();
    },
    LIMIT_MS,
  );

  it(
    'what a node says is text, and nothing in it turns the text around it',
    async () => {
      const bad = '<img src=x onerror=alert(1)>\u202e"\u0007';
      server.facts = running(
        statusFacts({
          status: {
            cluster: bad,
            resources: [{ name: 'block', kind: 'drbd', probe: 'held', detail: bad }],
          },
          facts: {
            failedChecks: [bad],
            takeovers: TAKEOVERS.map((one) => ({ ...one, node: bad, reason: bad })),
          },
        }),
      );
      const { page, complaints } = await live({ width: 360 });
      expect(await page.locator('h1').textContent()).toBe('<img src=x onerror=alert(1)>\ufffd"\ufffd');
      expect(await page.locator('img').count()).toBe(0);
      const text = (await page.locator('body').textContent()) ?? '';
      for (const one of ['\u202e', '\u0007']) expect(text).not.toContain(one);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
      expect(complaints).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'a script from anywhere, or in the page, is refused',
    async () => {
      const { page, complaints } = await live({ width: 360 });
      await page.evaluate(`{
        const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; } catch {}
        document.body.append(script);
        const far = document.createElement('img');
        far.src = 'http://127.0.0.9:1/x';
        document.body.append(far);
      }`);
      await expect.poll(() => complaints.join(' '), WAIT).toMatch(/Content Security Policy/);
      expect(await page.evaluate('window.ran')).toBeUndefined();
    },
    LIMIT_MS,
  );

  it.runIf(process.env.QUORATE_SCREENSHOTS === '1')(
    'makes the pictures of the docs',
    async () => {
      mkdirSync(IMAGES, { recursive: true });
      const take = async (name: string, facts: StatusFacts, view: View, limitPx: number) => {
        server.facts = running(facts);
        writeFileSync(join(IMAGES, name), await picture((await live(view)).page, limitPx));
      };
      await take('status-overview.png', WELL, { width: 1280 }, 735);
      await take('status-desktop.png', WELL, { width: 1280 }, 1725);
      await take('status-phone.png', ALONE, { width: 390, isDark: true }, 1420);
      await take('status-resync.png', RESYNCING, { width: 1280 }, 1300);
      await take('status-replication.png', SENDING, { width: 1280 }, 1110);
      const { page } = await live({ width: 390, height: 320 });
      await server.close();
      await page.locator('.lost').waitFor();
      writeFileSync(join(IMAGES, 'status-lost.png'), await picture(page));
    },
    LIMIT_MS,
  );
});
