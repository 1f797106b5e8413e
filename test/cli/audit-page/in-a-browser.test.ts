/** The page as a browser sees it: nothing refused by its own policy, nothing wider than a phone, nothing that axe objects to. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPage } from '../../../src/cli/audit-page/index.ts';
import { a, b, chain, config, elected, granted, note, START } from '../../state/story.ts';
import { Browser, CHROMIUM } from '../../support/browser.ts';
import { logOf, partsOf, WEEK } from './logs.ts';

const LIMIT_MS = 60_000;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
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
        `${name}, ${view.width} px: as wide as the screen, and nothing for axe to object to`,
        async () => {
          expect(await browser.open(urlOf(name), view)).toEqual([]);
          expect(await browser.ask('document.documentElement.scrollWidth')).toBe(view.width);
          // The style sheet is in force: otherwise its hash in the policy is not that of its bytes.
          expect(await browser.ask('getComputedStyle(document.querySelector("main")).maxWidth')).toBe(
            '1200px',
          );
          await browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
          await browser.ask(`${axe}; true`);
          // axe looks at thousands of cells for a minute, and they are like those of the other pages.
          if (name === 'long')
            await browser.ask("document.querySelectorAll('table').forEach((one) => one.remove())");
          const found = await browser.ask(
            `axe.run(document).then(({violations, passes}) => ({passed: passes.map(({id}) => id), violations: violations.map(({id, nodes}) => id + ": " + nodes.slice(0, 3).map(({html, failureSummary}) => html + failureSummary).join(" | "))}))`,
          );
          expect(found).toMatchObject({ violations: [] });
          // It has looked: contrast is what it cannot judge where it cannot see.
          expect((found as { passed: string[] }).passed).toContain('color-contrast');
        },
        LIMIT_MS,
      );

  it(
    'axe objects where there is something to object to',
    async () => {
      const file = join(directory, 'bad.html');
      writeFileSync(file, '<!doctype html><p style="color:#aaa">pale</p><img src="x">');
      await browser.open(pathToFileURL(file).href, { width: 320 });
      await browser.ask(`${axe}; true`);
      const ids = await browser.ask('axe.run(document).then(({violations}) => violations.map(({id}) => id))');
      expect(ids).toEqual(expect.arrayContaining(['color-contrast', 'image-alt', 'html-has-lang']));
    },
    LIMIT_MS,
  );

  it.runIf(process.env.QUORATE_SCREENSHOTS === '1')(
    'makes the pictures of the docs',
    async () => {
      mkdirSync(IMAGES, { recursive: true });
      await browser.open(urlOf('week'), { width: 390 });
      writeFileSync(join(IMAGES, 'audit-phone.png'), await browser.picture(1400));
      await browser.open(urlOf('week'), { width: 1280, isDark: true });
      writeFileSync(join(IMAGES, 'audit-desktop.png'), await browser.picture(1000));
      if (process.env.QUORATE_SCREENSHOTS_ALL === undefined) return;
      for (const name of ['broken', 'long', 'empty'] as const) {
        await browser.open(urlOf(name), { width: 600 });
        writeFileSync(join(process.env.QUORATE_SCREENSHOTS_ALL, `${name}.png`), await browser.picture(1500));
      }
    },
    LIMIT_MS,
  );
});
