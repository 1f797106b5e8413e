/**
 * The system's Chromium, headless, driven by playwright-core, which downloads none. Where there is none, `CHROMIUM` is null, and the
 * tests that need one say so.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser as Chromium, chromium, type Page } from 'playwright-core';

export const CHROMIUM =
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
    existsSync(path),
  ) ?? null;

/** Nothing but the pages that it is told to open: no updates, no reports, no first steps. */
const ALONE = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--hide-scrollbars'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];
const CALL_LIMIT_MS = 30_000;

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export interface View {
  readonly width: number;
  readonly height?: number;
  readonly isDark?: boolean;
}

export interface Opened {
  readonly page: Page;
  /** What its own policy has refused, and what else the console says. */
  readonly complaints: readonly string[];
  /** Every URL that it has asked for. */
  readonly asked: readonly string[];
}

export class Browser {
  readonly #chromium: Chromium;
  readonly #opened: Page[] = [];

  private constructor(browser: Chromium) {
    this.#chromium = browser;
  }

  static async start(executablePath: string): Promise<Browser> {
    return new Browser(await chromium.launch({ executablePath, args: ALONE, timeout: CALL_LIMIT_MS }));
  }

  /** Resolves when it is loaded; the page before it is closed. `bypassCSP`: only to put axe into it. */
  async open(url: string, view: View, bypassCSP = false): Promise<Opened> {
    await this.closePage();
    const { width, height = 900, isDark = false } = view;
    const context = await this.#chromium.newContext({
      viewport: { width, height },
      isMobile: width < 600,
      colorScheme: isDark ? 'dark' : 'light',
      bypassCSP,
    });
    const page = await context.newPage();
    this.#opened.push(page);
    page.setDefaultTimeout(CALL_LIMIT_MS);
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url, { waitUntil: 'load' });
    return { page, complaints, asked };
  }

  async closePage(): Promise<void> {
    for (const page of this.#opened.splice(0)) await page.context().close();
  }

  async close(): Promise<void> {
    await this.#chromium.close();
  }
}

export interface AxeResult {
  /** Rules with the places that break them. */
  readonly violations: readonly string[];
  /** Rules that were looked at and kept. */
  readonly passed: readonly string[];
}

/** What axe has to say about the page as it is now; it was opened with `bypassCSP`. */
export async function runAxe(page: Page): Promise<AxeResult> {
  await page.addScriptTag({ content: axe });
  return page.evaluate<AxeResult>(`axe.run(document).then(({violations, passes}) => ({
    passed: passes.map(({id}) => id),
    violations: violations.map(({id, nodes}) =>
      id + ": " + nodes.slice(0, 3).map(({html, failureSummary}) => html + failureSummary).join(" | "))
  }))`);
}

/** PNG of the page from its top, as high as it is but for the limit. */
export async function picture(page: Page, limitPx = 4000): Promise<Buffer> {
  const [width, height] = await page.evaluate<[number, number]>(
    '[document.documentElement.scrollWidth, document.documentElement.scrollHeight]',
  );
  return page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, limitPx) } });
}
