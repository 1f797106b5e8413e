/** The section `alerts`: who is told, and how often. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { durationMs } from '../core/index.ts';
import type { AlertsConfig, WebhookConfig } from './config.ts';
import type { Problems } from './problems.ts';
import { duration, filePath, HINT_MARK, text } from './schema-parts.ts';
import { readSection } from './sections.ts';

const MAX_WEBHOOKS = 8;
const MAX_RECIPIENTS = 32;

const mailbox = z
  .string()
  .max(254)
  .regex(/^[^\s<>@,;"]+@[^\s<>@,;"]+$/, `is not a mail address${HINT_MARK}as "storage@example.com"`);

export const webhookSection = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/, `is not a name${HINT_MARK}letters, digits, ".", "_" and "-"`)
    .optional(),
  url: z
    .url({
      protocol: /^https?$/,
      error: `is not an http(s) URL${HINT_MARK}as "https://alerts.example.com/quorate"`,
    })
    .max(2048)
    .optional(),
  url_file: filePath.optional(),
  secret_file: filePath.optional(),
});

export const smtpSection = z.strictObject({
  host: text(253),
  port: z.number().int().min(1).max(65_535).optional(),
  tls: z.enum(['starttls', 'tls', 'none']).default('starttls'),
  user: text(254).optional(),
  password_file: filePath.optional(),
});

export const emailSection = z.strictObject({
  smtp: smtpSection,
  from: mailbox,
  to: z.array(mailbox).min(1).max(MAX_RECIPIENTS),
});

export const alertsSection = z.strictObject({
  webhooks: z.array(webhookSection).max(MAX_WEBHOOKS).default([]),
  email: emailSection.optional(),
  after: duration(0, 600_000).default(durationMs(10_000)),
  repeat: duration(60_000, 7 * 86_400_000).default(durationMs(4 * 3_600_000)),
});

const PORTS = { starttls: 587, tls: 465, none: 25 } as const;

/** Null: not there, or unusable. */
export function readAlerts(value: unknown, base: string, problems: Problems): AlertsConfig | null {
  if (value === undefined) return null;
  const section = readSection(alertsSection, value, ['alerts'], problems);
  if (section === null) return null;
  const { webhooks, email, after: afterMs, repeat: repeatMs } = section;
  if (webhooks.length === 0 && email === undefined)
    problems.add(['alerts'], 'names nobody', 'give "webhooks" or "email", or leave it out');
  if (email !== undefined && (email.smtp.user === undefined) !== (email.smtp.password_file === undefined))
    problems.add(['alerts', 'email', 'smtp'], '"user" and "password_file" belong together', null);
  if (email?.smtp.tls === 'none' && email.smtp.password_file !== undefined)
    problems.add(
      ['alerts', 'email', 'smtp', 'tls'],
      'a password would be sent in the clear',
      'tls: starttls',
    );
  const inBase = (path: string | undefined): string | null =>
    path === undefined ? null : resolve(base, path);
  const hooks = webhooks.map((one, at): WebhookConfig => {
    if ((one.url === undefined) === (one.url_file === undefined))
      problems.add(['alerts', 'webhooks', at], 'needs either "url" or "url_file"', null);
    return {
      name: one.name ?? `webhook-${at + 1}`,
      url: one.url ?? null,
      urlFile: inBase(one.url_file),
      secretFile: inBase(one.secret_file),
    };
  });
  if (new Set(hooks.map(({ name }) => name)).size < hooks.length)
    problems.add(['alerts', 'webhooks'], 'two of them have the same name', null);
  if (email === undefined) return { webhooks: hooks, email: null, afterMs, repeatMs };
  const { smtp, from, to } = email;
  const { host, tls, user = null } = smtp;
  return {
    webhooks: hooks,
    email: {
      smtp: { host, port: smtp.port ?? PORTS[tls], tls, user, passwordFile: inBase(smtp.password_file) },
      from,
      to,
    },
    afterMs,
    repeatMs,
  };
}
