/** `quorate audit`: what the replicated log says happened, from a running agent or from a data directory. */
import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { Entry } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type AuditDocument, type AuditParts, audit, auditParts, windowed } from '../state/index.ts';
import { renderAudit } from './audit-text.ts';
import { checkNode, nodesOf, readWindow, type WindowOptions } from './audit-window.ts';
import { type ConnectionOptions, hasConnection, withClient, withConnection } from './connection.ts';
import { paintFor, printJson } from './output.ts';

interface AuditOptions extends Omit<ConnectionOptions, 'node'>, WindowOptions {
  readonly json?: boolean;
  readonly html?: string;
  readonly ask?: string;
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
    '--ask',
  )
    .option('--json', 'print one JSON document')
    .option('--html <file>', 'write a page with a timeline instead: one file, for any browser')
    .option(
      '--since <time>',
      'only from then on: 2026-01-02T03:04:05Z, 2026-01-02, or 90min ago (s, min, h, d)',
    )
    .option('--until <time>', 'only up to then; a day alone is meant to its end')
    .option('--node <id>', 'only what concerns this node, or no node in particular')
    .option(
      '--data-dir <dir>',
      'read this data directory (of a stopped agent, or a copy) instead of asking an agent',
    )
    .option('--verify', 'fail where the chain of hashes or a rule is broken')
    .action(runAudit);
}

async function runAudit(options: AuditOptions): Promise<void> {
  if (options.json === true && options.html !== undefined)
    throw new QuorateError('usage', 'give either --json or --html FILE');
  const window = readWindow(options, Date.now());
  const { entries, document } = await readSource(options);
  checkNode(window, nodesOf(entries));
  const shown = windowed(auditParts(entries, document), window);
  if (options.json === true) printJson(shown.document);
  else if (options.html !== undefined) await writePage(options.html, shown, clusterOf(entries));
  else
    process.stdout.write(
      `${renderAudit(shown.entries, shown.document, paintFor(process.stdout)).join('\n')}\n`,
    );
  if (options.verify !== true) return;
  const [first, ...more] = document.violations;
  if (first === undefined && document.chain.ok) return;
  const where = first === undefined ? 'the chain is broken' : `entry ${first.index}: ${first.what}`;
  throw new QuorateError('audit-failed', more.length === 0 ? where : `${where}, and ${more.length} more`);
}

/** Replaced in one step: whoever has the page open, or fetches it meanwhile, never gets half of it. */
async function writePage(file: string, parts: AuditParts, cluster: string | null): Promise<void> {
  const { renderPage } = await import('./audit-page/index.ts');
  const page = renderPage(parts, cluster);
  const aside = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
  try {
    await writeFile(aside, page, { flag: 'wx' });
    await rename(aside, file);
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => {});
    throw new QuorateError('file-not-written', `${file}: ${String(cause)}`, { cause });
  }
  process.stdout.write(`wrote ${file}\n`);
}

function clusterOf(entries: readonly Entry[]): string | null {
  const first = entries[0]?.body;
  return first?.kind === 'config' ? first.cluster : null;
}

async function readSource(options: AuditOptions): Promise<Source> {
  const { sha256 } = await import('../log/index.ts');
  if (options.dataDir !== undefined) return readOffline(options.dataDir);
  if (!hasConnection(options))
    throw new QuorateError('usage', 'give --config FILE, --address HOST:PORT, or --data-dir DIR');
  const connection = { ...options, node: options.ask, nodeOption: '--ask' };
  const entries = await withClient(connection, (client) => client.entries());
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
