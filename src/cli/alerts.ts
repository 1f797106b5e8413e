/** `quorate alerts test`: whether those who should be told of failures would be. */
import type { Command } from 'commander';
import { QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { humanMs, paintFor, printJson, table } from './output.ts';

interface TestOptions extends ConnectionOptions {
  readonly json?: boolean;
}

export function registerAlerts(program: Command): void {
  const alerts = program.command('alerts').description('who is told when something happens');
  withConnection(
    alerts
      .command('test')
      .description(
        "send a test alert from a node to everybody whom it would tell; needs an operator's certificate",
      ),
  )
    .option('--json', 'print one JSON document')
    .action(test);
}

async function test(options: TestOptions): Promise<void> {
  const results = await withClient(options, (client) => client.alertsTest());
  if (options.json === true) printJson({ results });
  else {
    const rows = results.map(({ target, ok, detail, ms }) => [
      { text: target },
      ok ? { text: 'sent', colour: 'green' as const } : { text: 'failed', colour: 'red' as const },
      { text: humanMs(ms) },
      { text: ok ? '' : detail },
    ]);
    process.stdout.write(`${table(rows, paintFor(process.stdout)).join('\n')}\n`);
  }
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw new QuorateError(
      'alerts-unsent',
      failed.map(({ target, detail }) => `${target}: ${detail}`).join('; '),
    );
}
