/**
 * An alert as a POST of JSON. Signed where there is a secret: `x-quorate-signature: sha256=HMAC(secret, timestamp + "." + body)`, so that
 * neither the body nor the time of a recorded message can be changed.
 */
import { createHmac } from 'node:crypto';
import type { WebhookConfig } from '../config/index.ts';
import { VERSION } from '../version.ts';
import type { Alert, Attempt, Target } from './alert.ts';
import { readSecret } from './secrets.ts';

/** Of the answer; the rest is not read. */
const ANSWER_CHARACTERS = 200;
/** Not now, perhaps later; every other 4xx stays so. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);

export class Webhook implements Target {
  readonly name: string;
  readonly #config: WebhookConfig;
  readonly #wallMs: () => number;

  constructor(config: WebhookConfig, wallMs: () => number) {
    this.name = config.name;
    this.#config = config;
    this.#wallMs = wallMs;
  }

  async send(alert: Alert, dropped: number, signal: AbortSignal): Promise<Attempt> {
    try {
      const { url, urlFile, secretFile } = this.#config;
      const to = new URL(url ?? (await readSecret(urlFile ?? '')));
      if (to.protocol !== 'https:' && to.protocol !== 'http:') throw new Error('it is not an http(s) URL');
      const body = JSON.stringify({ ...alert, dropped });
      const timestamp = String(Math.floor(this.#wallMs() / 1000));
      const headers: Record<string, string> = {
        'content-type': 'application/json',
        'user-agent': `quorate/${VERSION}`,
        'x-quorate-delivery': alert.id,
        'x-quorate-timestamp': timestamp,
      };
      if (secretFile !== null)
        headers['x-quorate-signature'] = signatureOf(await readSecret(secretFile), timestamp, body);
      // Somewhere else it would be somebody else who gets it.
      const response = await fetch(to, { method: 'POST', headers, body, redirect: 'manual', signal });
      const { status } = response;
      await response.body?.cancel();
      if (status >= 200 && status < 300) return { ok: true };
      const isFinal = status >= 300 && status < 500 && !LATER.has(status);
      return { ok: false, why: `it answers ${status}`, isFinal };
    } catch (error) {
      return { ok: false, why: whyOf(error), isFinal: false };
    }
  }
}

export function signatureOf(secret: string, timestamp: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

/** Without the URL, whose path may be a secret of its own: fetch names it in some of its errors. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'no answer in time';
  const { cause } = error;
  const text = cause instanceof Error ? cause.message : error.message;
  return text.replaceAll(/\bhttps?:\/\/\S+/gi, 'its URL').slice(0, ANSWER_CHARACTERS);
}
