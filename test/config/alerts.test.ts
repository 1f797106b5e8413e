/** The section `alerts`: what it becomes, and what is wrong with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';

const directory = mkdtempSync(join(tmpdir(), 'quorate-alerts-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const read = (alerts: string) =>
  parseConfig(
    `cluster: nas
node: a
data_dir: state
members: {a: {peer: "127.0.0.1:7400"}}
tls: {ca: ca.pem, cert: a.pem, key: a.key}
admin: {listen: "127.0.0.1:7401"}
watchdog: {mode: off}
${alerts}
`,
    join(directory, 'q.yaml'),
    { needsTls: false },
  );

it('is read with paths of its own and defaults', () => {
  const { config, problems } = read(`alerts:
  webhooks: [{url: "https://x.example/y", secret_file: s}, {name: chat, url_file: /etc/u}]
  email: {smtp: {host: m.example, user: u, password_file: p}, from: a@x.example, to: [b@x.example]}`);
  expect(problems).toEqual([]);
  expect(config?.alerts).toEqual({
    webhooks: [
      { name: 'webhook-1', url: 'https://x.example/y', urlFile: null, secretFile: join(directory, 's') },
      { name: 'chat', url: null, urlFile: '/etc/u', secretFile: null },
    ],
    email: {
      smtp: { host: 'm.example', port: 587, tls: 'starttls', user: 'u', passwordFile: join(directory, 'p') },
      from: 'a@x.example',
      to: ['b@x.example'],
    },
    afterMs: 10_000,
    repeatMs: 14_400_000,
  });
  expect(read('').config?.alerts).toBeNull();
});

it.each([
  ['alerts: {}', /:8: alerts: names nobody/],
  ['alerts: {webhooks: [{}]}', /needs either "url" or "url_file"/],
  ['alerts: {webhooks: [{url: "https://x.example", url_file: y}]}', /needs either "url" or "url_file"/],
  ['alerts: {webhooks: [{url: "ftp://x.example"}]}', /is not an http\(s\) URL/],
  ['alerts: {webhooks: [{url: "http://x", secret: hush}]}', /secret/],
  ['alerts: {webhooks: [{name: x, url: "http://x"}, {name: x, url: "http://y"}]}', /the same name/],
  ['alerts: {email: {smtp: {host: h}, from: nobody, to: [b@x.example]}}', /is not a mail address/],
  [
    'alerts: {email: {smtp: {host: h}, from: "a@x>\\r\\nBcc: c@x", to: [b@x.example]}}',
    /is not a mail address/,
  ],
  ['alerts: {email: {smtp: {host: h, user: u}, from: a@x.example, to: [b@x.example]}}', /belong together/],
  [
    'alerts: {email: {smtp: {host: h, tls: none, user: u, password_file: p}, from: a@x.example, to: [b@x.example]}}',
    /in the clear/,
  ],
  ['alerts: {webhooks: [{url: "http://x"}], repeat: 1s}', /repeat/],
])('%s is refused with its place', (alerts, why) => {
  const { config, problems } = read(alerts);
  expect(config).toBeNull();
  expect(problems.join('\n')).toMatch(why);
});
