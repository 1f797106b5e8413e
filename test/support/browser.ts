/**
 * A headless Chromium of the system, driven over its DevTools pipe: enough to open a page, to ask it something and to take its
 * picture. Where there is none, `CHROMIUM` is null, and the tests that need one say so.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

export const CHROMIUM =
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
    existsSync(path),
  ) ?? null;

const CALL_LIMIT_MS = 30_000;

type Answer = Record<string, unknown>;
interface Incoming {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Answer;
  readonly result?: Answer;
  readonly error?: { readonly message: string };
}

export interface View {
  readonly width: number;
  readonly height?: number;
  readonly isDark?: boolean;
}

export class Browser {
  readonly #child;
  readonly #input: Writable;
  readonly #directory = mkdtempSync(join(tmpdir(), 'quorate-browser-'));
  readonly #waiting = new Map<number, (message: Incoming) => void>();
  readonly #violations: string[] = [];
  #rest = '';
  #nextId = 1;
  #session = '';
  #onLoad: () => void = () => {};

  private constructor(program: string) {
    const words = ['--headless=new', '--remote-debugging-pipe', '--disable-gpu', '--hide-scrollbars'];
    const alone = ['--no-first-run', '--no-sandbox', '--disable-background-networking'];
    this.#child = spawn(program, [...words, ...alone, `--user-data-dir=${this.#directory}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#input = this.#child.stdio[3] as Writable;
    const output = this.#child.stdio[4] as Readable;
    output.setEncoding('utf8');
    output.on('data', (text: string) => this.#read(text));
    // What is still written to one that has died is lost; who waits for an answer runs into the limit.
    this.#input.on('error', () => {});
  }

  static async start(program: string): Promise<Browser> {
    const browser = new Browser(program);
    const { targetInfos } = await browser.#call('Target.getTargets', {}, false);
    const page = (targetInfos as { type: string; targetId: string }[]).find(({ type }) => type === 'page');
    const { targetId } = page ?? (await browser.#call('Target.createTarget', { url: 'about:blank' }, false));
    const attached = await browser.#call('Target.attachToTarget', { targetId, flatten: true }, false);
    browser.#session = String(attached.sessionId);
    for (const domain of ['Page', 'Log', 'Runtime']) await browser.#call(`${domain}.enable`);
    return browser;
  }

  /** Resolves when it is loaded; with what the page's own policy has refused, and other complaints of the console. */
  async open(url: string, { width, height = 900, isDark = false }: View): Promise<readonly string[]> {
    this.#violations.length = 0;
    await this.#call('Emulation.setDeviceMetricsOverride', {
      ...{ width, height, deviceScaleFactor: 1, mobile: width < 600 },
    });
    const features = [{ name: 'prefers-color-scheme', value: isDark ? 'dark' : 'light' }];
    await this.#call('Emulation.setEmulatedMedia', { features });
    const loaded = new Promise<void>((resolve) => {
      this.#onLoad = resolve;
    });
    await this.#call('Page.navigate', { url });
    await loaded;
    return [...this.#violations];
  }

  /** The value of an expression, awaited. DevTools are not bound by the page's policy. */
  async ask(expression: string): Promise<unknown> {
    const asked = { expression, returnByValue: true, awaitPromise: true, allowUnsafeEvalBlockedByCSP: true };
    const { result, exceptionDetails } = await this.#call('Runtime.evaluate', asked);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
  }

  /** PNG of the page from its top, as high as it is but for the limit. */
  async picture(limitPx = 4000): Promise<Buffer> {
    const { cssContentSize } = await this.#call('Page.getLayoutMetrics');
    const { width, height } = cssContentSize as { width: number; height: number };
    const clip = { x: 0, y: 0, width, height: Math.min(height, limitPx), scale: 1 };
    const { data } = await this.#call('Page.captureScreenshot', {
      ...{ format: 'png', captureBeyondViewport: true, optimizeForSpeed: false, clip },
    });
    return Buffer.from(String(data), 'base64');
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    if (this.#child.exitCode === null) {
      this.#send({ id: this.#nextId++, method: 'Browser.close', params: {} });
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  #call(method: string, params: Answer = {}, inPage = true): Promise<Answer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer of the browser`)), CALL_LIMIT_MS);
      this.#waiting.set(id, ({ result, error }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#send({ id, method, params, ...(inPage ? { sessionId: this.#session } : {}) });
    });
  }

  #send(message: object): void {
    this.#input.write(`${JSON.stringify(message)}\0`);
  }

  #read(text: string): void {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop() ?? '';
    for (const message of messages) this.#onMessage(JSON.parse(message) as Incoming);
  }

  #onMessage(message: Incoming): void {
    if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    } else if (message.method === 'Page.loadEventFired') this.#onLoad();
    else if (message.method === 'Log.entryAdded' || message.method === 'Runtime.exceptionThrown')
      this.#violations.push(JSON.stringify(message.params));
  }
}
