/** `quorate audit`: what the replicated log says happened, from a running agent or from a data directory. */
import type { Command } from 'commander';
import type { Entry } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type AuditDocument, audit } from '../state/index.ts';
import { renderAudit } from './audit-text.ts';
import { type ConnectionOptions, hasConnection, withClient, withConnection } from './connection.ts';
import { paintFor, printJson } from './output.ts';

interface AuditOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly dataDir?: string;
  readonly verify?: boolean;
}

interface Source {
  readonly entries: readonly Entry[];
  readonly document: AuditDocument;
}

export function registerAudit(program: Command): void {
  withConnection(
    program.command('audit').description('show what happened, and check the log against the rules'),
  )
    .option('--json', 'print one JSON document')
    .option(
      '--data-dir <dir>',
      'read this data directory (of a stopped agent, or a copy) instead of asking an agent',
    )
    .option('--verify', 'fail where the chain of hashes or a rule is broken')
    .action(runAudit);
}

async function runAudit(options: AuditOptions): Promise<void> {
  const { entries, document } = await readSource(options);
  if (options.json === true) printJson(document);
  else process.stdout.write(`${renderAudit(entries, document, paintFor(process.stdout)).join('\n')}\n`);
  if (options.verify !== true) return;
  const [first, ...more] = document.violations;
  if (first === undefined && document.chain.ok) return;
  const where = first === undefined ? 'the chain is broken' : `entry ${first.index}: ${first.what}`;
  throw new QuorateError('audit-failed', more.length === 0 ? where : `${where}, and ${more.length} more`);
}

async function readSource(options: AuditOptions): Promise<Source> {
  const { sha256 } = await import('../log/index.ts');
  if (options.dataDir !== undefined) return readOffline(options.dataDir);
  if (!hasConnection(options))
    throw new QuorateError('usage', 'give --config FILE, --address HOST:PORT, or --data-dir DIR');
  const entries = await withClient(options, (client) => client.entries());
  return { entries, document: audit(entries, sha256) };
}

/**
 * All entries that are there and valid: a stopped node knows only a lower bound of what was committed. What the
 * directory itself has lost or cannot prove makes the chain not ok.
 */
async function readOffline(directory: string): Promise<Source> {
  const { sha256, verifyDirectory } = await import('../log/index.ts');
  const { entries, problems, recovered } = await verifyDirectory(directory, sha256);
  const document = audit(entries, sha256);
  for (const { problem } of problems) process.stderr.write(`quorate: ${directory}: ${problem}\n`);
  const lost = problems.flatMap(({ index, problem }) =>
    index === null ? [] : [{ index, term: null, kind: 'chain-broken' as const, what: problem }],
  );
  const isWhole = lost.length === 0 && recovered !== null && recovered.status !== 'damaged';
  const chain = { ...document.chain, ok: document.chain.ok && isWhole };
  return { entries, document: { ...document, chain, violations: [...document.violations, ...lost] } };
}
