import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { alertsSection, emailSection, smtpSection, webhookSection } from '../../src/config/alerts.ts';
import * as resources from '../../src/config/resource-schema.ts';
import * as schema from '../../src/config/schema.ts';
import { SEND_KEYS } from '../../src/config/send-schema.ts';
import { ERRORS, type ErrorCode, EXIT, EXIT_MEANINGS } from '../../src/errors.ts';

const configuration = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');

describe('docs/configuration.md', () => {
  const keys = (prefix: string, section: { shape: object }): string[] =>
    Object.keys(section.shape).map((key) => `${prefix}${key}`);
  it.each([
    ...schema.TOP_LEVEL_KEYS,
    ...keys('members.ID.', schema.memberSection),
    ...keys('timing.', schema.timingSection),
    ...keys('tls.', schema.tlsSection),
    ...keys('admin.', schema.listenSection),
    ...keys('http.', schema.listenSection),
    ...keys('alerts.', alertsSection),
    ...keys('alerts.webhooks[].', webhookSection),
    ...keys('alerts.email.', emailSection),
    ...keys('alerts.email.smtp.', smtpSection),
    ...keys('watchdog.', schema.watchdogSection),
    ...keys('fencing.', schema.fencingSection),
    ...keys('cloud.', schema.cloudSection),
    ...keys('replication.', schema.replicationSection),
    ...SEND_KEYS.map((key) => `replication.send.${key}`),
    ...Object.values(resources.resourceSections).flatMap((section) => keys('resources[].', section)),
    ...resources.RESOURCE_KINDS,
  ])('says what %s means', (key) => expect(configuration).toContain(`\`${key}\``));
});

const cell = (text: string): string => text.replaceAll('|', '\\|');

function errorsDocument(): string {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).sort();
  return `# Exit codes and errors

Made from the table in \`src/errors.ts\` by \`npx vitest run test/config/documentation.test.ts -u\`.

Every error is one line on stderr that ends with its code in brackets:

\`\`\`
quorate: the data of "b" is not in sync — Remove the reason given, then ask again. [refused-unsafe]
\`\`\`

## Exit codes

| exit code | meaning |
|---|---|
${Object.entries(EXIT)
  .map(([name, code]) => `| ${code} | ${cell(EXIT_MEANINGS[name as keyof typeof EXIT])} |`)
  .join('\n')}

\`quorate fence-peer\` is DRBD's handler and has DRBD's codes instead: 4 the peer is outdated, 1 everything else.

## Errors

| code | exit code | meaning | what to do |
|---|---|---|---|
${codes
  .map(
    (code) =>
      `| \`${code}\` | ${ERRORS[code].exit} | ${cell(ERRORS[code].meaning)} | ${cell(ERRORS[code].remedy)} |`,
  )
  .join('\n')}
`;
}

it('docs/errors.md is the table of errors', async () => {
  await expect(errorsDocument()).toMatchFileSnapshot('../../docs/errors.md');
});
