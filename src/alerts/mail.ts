/** An alert as a mail, by nodemailer: a connection for each message, because there are few. */
import type { EmailConfig } from '../config/index.ts';
import { type Alert, type Attempt, subjectOf, type Target } from './alert.ts';
import { readSecret } from './secrets.ts';

const CONNECT_MS = 10_000;
const WHY_CHARACTERS = 300;
const SUBJECT_CHARACTERS = 200;

export class Mail implements Target {
  readonly name = 'email';
  readonly #config: EmailConfig;

  constructor(config: EmailConfig) {
    this.#config = config;
  }

  async send(alert: Alert, dropped: number, signal: AbortSignal): Promise<Attempt> {
    const { smtp, from, to } = this.#config;
    let password: string | null = null;
    try {
      password = smtp.passwordFile === null ? null : await readSecret(smtp.passwordFile);
      const { createTransport } = await import('nodemailer');
      const transport = createTransport({
        host: smtp.host,
        port: smtp.port,
        secure: smtp.tls === 'tls',
        requireTLS: smtp.tls === 'starttls',
        ignoreTLS: smtp.tls === 'none',
        ...(smtp.user === null || password === null ? {} : { auth: { user: smtp.user, pass: password } }),
        connectionTimeout: CONNECT_MS,
        greetingTimeout: CONNECT_MS,
        socketTimeout: CONNECT_MS,
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const onAbort = (): void => transport.close();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        signal.throwIfAborted();
        await transport.sendMail({
          from,
          to: [...to],
          subject: subjectOf(alert).slice(0, SUBJECT_CHARACTERS),
          text: bodyOf(alert, dropped),
          messageId: `<${alert.id}@quorate.invalid>`,
          headers: { 'X-Quorate-Key': alert.key, 'Auto-Submitted': 'auto-generated' },
        });
      } finally {
        signal.removeEventListener('abort', onAbort);
        transport.close();
      }
      return { ok: true };
    } catch (error) {
      return { ok: false, ...judged(error, password) };
    }
  }
}

/** A server's 5xx to a recipient or a message stays so; to a login it may be mended meanwhile. */
function judged(error: unknown, password: string | null): { why: string; isFinal: boolean } {
  const { responseCode, code } = error as { responseCode?: unknown; code?: unknown };
  const isRefused = typeof responseCode === 'number' && responseCode >= 500;
  const message = error instanceof Error ? error.message : 'it failed';
  const shown = password === null ? message : message.replaceAll(password, '[hidden]');
  return { why: shown.slice(0, WHY_CHARACTERS), isFinal: isRefused && code !== 'EAUTH' };
}

function bodyOf(alert: Alert, dropped: number): string {
  const lines = [
    alert.text,
    '',
    `cluster   ${alert.cluster}`,
    `told by   ${alert.node}`,
    `state     ${alert.state}`,
    `severity  ${alert.severity}`,
    `at        ${alert.at}`,
    ...(alert.since === null ? [] : [`since     ${alert.since}`]),
    `key       ${alert.key}`,
    ...(dropped === 0
      ? []
      : ['', `${dropped} alerts before this one were dropped: they could not be sent in time.`]),
    '',
    '"quorate status" on any node shows how it is now.',
  ];
  return `${lines.join('\n')}\n`;
}
