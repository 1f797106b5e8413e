/** The page as a browser sees it: nothing refused by its own policy, nothing wider than a phone, nothing that axe objects to. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPage } from '../../../src/cli/audit-page/index.ts';
import { a, b, chain, config, elected, granted, note, START } from '../../state/story.ts';
import { Browser, CHROMIUM, picture, runAxe, type View } from '../../support/browser.ts';
import { LEFT_BEHIND, logOf, partsOf, WEEK } from './logs.ts';

const LIMIT_MS = 60_000;
/** With QUORATE_SCREENSHOTS=1 the pictures of the docs are made anew. */
const IMAGES = fileURLToPath(new URL('../../../docs/images', import.meta.url));

const BROKEN = chain(
  [0, config()],
  [1, elected(a, START)],
  [1, granted(b, START + 20)],
  [1, note('x'.repeat(300))],
);
const PAGES = {
  week: WEEK,
  broken: BROKEN,
  long: logOf(300),
  'left behind': LEFT_BEHIND,
  empty: [],
} as const;

describe.skipIf(CHROMIUM === null)('in Chromium (skipped where none is installed)', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-page-'));
  let browser: Browser;
  beforeAll(async () => {
    browser = await Browser.start(CHROMIUM ?? '');
  }, LIMIT_MS);
  afterAll(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const urlOf = (name: keyof typeof PAGES): string => {
    const file = join(directory, `${name}.html`);
    writeFileSync(file, renderPage(partsOf(PAGES[name]), PAGES[name].length === 0 ? null : 'nas-prod'));
    return pathToFileURL(file).href;
  };

  for (const name of Object.keys(PAGES) as (keyof typeof PAGES)[])
    for (const view of [{ width: 320 }, { width: 1280, isDark: true }])
      it(
        `${name}, ${view.width} px: as wide as the screen, under its own policy`,
        async () => {
          const { page, complaints } = await browser.open(urlOf(name), view);
          expect(complaints).toEqual([]);
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width);
          // The style sheet is in force: otherwise its hash in the policy is not that of its bytes.
          expect(await page.evaluate('getComputedStyle(document.querySelector("main")).maxWidth')).toBe(
            '1200px',
          );
        },
        LIMIT_MS,
      );

  for (const name of Object.keys(PAGES) as (keyof typeof PAGES)[])
    for (const view of [
      { width: 360 },
      { width: 360, isDark: true },
      { width: 1280 },
      { width: 1280, isDark: true },
    ])
      it(
        `${name}, ${view.width} px${view.isDark ? ', dark' : ''}: nothing for axe to object to`,
        async () => {
          const { page } = await browser.open(urlOf(name), view, true);
          await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
          // axe looks at thousands of cells for a minute, and they are like those of the other pages.
          if (name === 'long')
            await page.evaluate("document.querySelectorAll('table').forEach((one) => one.remove())");
          const found = await runAxe(page);
          expect(found.violations).toEqual([]);
          // It has looked: contrast is what it cannot judge where it cannot see.
          expect(found.passed).toContain('color-contrast');
        },
        LIMIT_MS,
      );

  it(
    'axe objects where there is something to object to',
    async () => {
      const file = join(directory, 'bad.html');
      writeFileSync(file, '<!doctype html><p style="color:#aaa">pale</p><img src="x">');
      const { page } = await browser.open(pathToFileURL(file).href, { width: 320 }, true);
      const ids = (await runAxe(page)).violations.map((one) => one.split(':')[0]);
      expect(ids).toEqual(expect.arrayContaining(['color-contrast', 'image-alt', 'html-has-lang']));
    },
    LIMIT_MS,
  );

  it.runIf(process.env.QUORATE_SCREENSHOTS === '1')(
    'makes the pictures of the docs',
    async () => {
      mkdirSync(IMAGES, { recursive: true });
      const take = async (file: string, name: keyof typeof PAGES, view: View, limitPx: number) =>
        writeFileSync(file, await picture((await browser.open(urlOf(name), view)).page, limitPx));
      await take(join(IMAGES, 'audit-phone.png'), 'week', { width: 390 }, 1400);
      await take(join(IMAGES, 'audit-desktop.png'), 'week', { width: 1280, isDark: true }, 1000);
      await take(join(IMAGES, 'audit-losses.png'), 'left behind', { width: 1280 }, 1000);
      if (process.env.QUORATE_SCREENSHOTS_ALL === undefined) return;
      for (const name of ['broken', 'long', 'empty'] as const)
        await take(join(process.env.QUORATE_SCREENSHOTS_ALL, `${name}.png`), name, { width: 600 }, 1500);
    },
    LIMIT_MS,
  );
});
