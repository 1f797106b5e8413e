/** `quorate pki`: the certificates that the agents and operators of a cluster know each other by. */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { QuorateError } from '../errors.ts';
import {
  AUTHORITY_DAYS,
  CERTIFICATE_DAYS,
  CLIENT_ROLES,
  createAuthority,
  issueClient,
  issueNode,
  type KeyPairPem,
} from '../peer/index.ts';

interface NewFile {
  readonly path: string;
  readonly text: string;
  /** Keys are for their owner only. */
  readonly mode: number;
}
interface InitOptions {
  readonly cluster: string;
  readonly out: string;
  readonly days: number;
  readonly force?: boolean;
}
interface IssueOptions {
  readonly ca: string;
  readonly out: string;
  readonly days: number;
  readonly force?: boolean;
  readonly node?: string;
  readonly host?: readonly string[];
  readonly role?: string;
  readonly name?: string;
}

/** The authority's files are ca.pem and ca.key. */
const AUTHORITY_NAME = 'ca';
const CERTIFICATE_MODE = 0o644;
const KEY_MODE = 0o600;

function parseDays(value: string): number {
  if (!/^\d{1,6}$/.test(value)) throw new InvalidArgumentError('a whole number of days');
  return Number(value);
}

function pairFiles(directory: string, name: string, pair: KeyPairPem): NewFile[] {
  return [
    { path: join(directory, `${name}.pem`), text: pair.certificate, mode: CERTIFICATE_MODE },
    { path: join(directory, `${name}.key`), text: pair.key, mode: KEY_MODE },
  ];
}

/** All or none: what was made is taken back when a later file exists. */
async function writeNew(directory: string, files: readonly NewFile[], force: boolean): Promise<void> {
  await mkdir(directory, { recursive: true });
  const written: string[] = [];
  try {
    for (const { path, text, mode } of files) {
      // Replaced, not overwritten: an existing file would keep its mode.
      if (force) await rm(path, { force: true });
      const file = await open(path, 'wx', mode);
      written.push(path);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
    }
  } catch (cause) {
    if (!force) await Promise.all(written.map((path) => rm(path, { force: true })));
    const { code, path } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new QuorateError('file-exists', `${path} exists already`, { cause });
    throw new QuorateError('pki-invalid', `cannot write ${path ?? directory}: ${String(cause)}`, { cause });
  }
}

async function readAuthority(directory: string): Promise<KeyPairPem> {
  const read = async (name: string) => {
    const path = join(directory, name);
    return readFile(path, 'utf8').catch((cause: unknown) => {
      throw new QuorateError(
        'certificate-unreadable',
        `${path} cannot be read; is ${directory} the --out of \`quorate pki init\`?`,
        { cause, context: { file: path } },
      );
    });
  };
  const [certificate, key] = await Promise.all([read('ca.pem'), read('ca.key')]);
  return { certificate, key };
}

function report(files: readonly NewFile[]): void {
  for (const { path, mode } of files) {
    process.stdout.write(`${path}${mode === KEY_MODE ? '  (private key: keep it secret)' : ''}\n`);
  }
}

async function init(options: InitOptions): Promise<void> {
  const authority = await createAuthority(options.cluster, { days: options.days });
  const files = pairFiles(options.out, AUTHORITY_NAME, authority);
  await writeNew(options.out, files, options.force === true);
  report(files);
}

async function issue(options: IssueOptions): Promise<void> {
  const { node, role, name, days } = options;
  const isForClient = role !== undefined || name !== undefined;
  if ((node !== undefined) === isForClient || (isForClient && (role === undefined || name === undefined))) {
    throw new QuorateError('pki-invalid', 'give either --node ID, or --role ROLE and --name NAME');
  }
  if (isForClient && options.host !== undefined) {
    throw new QuorateError('pki-invalid', "--host is for a node's certificate");
  }
  if (node === AUTHORITY_NAME && resolve(options.out) === resolve(options.ca)) {
    throw new QuorateError('pki-invalid', `a node called ${node} needs an --out other than that of the CA`);
  }
  const authority = await readAuthority(options.ca);
  let files: NewFile[];
  if (node !== undefined) {
    files = pairFiles(
      options.out,
      node,
      await issueNode(authority, node, { hosts: options.host ?? [], days }),
    );
  } else {
    const client = await issueClient(authority, role ?? '', name ?? '', { days });
    files = pairFiles(options.out, `${role}-${name}`, client);
  }
  await writeNew(options.out, files, options.force === true);
  report(files);
}

export function registerPki(program: Command): void {
  const pki = program.command('pki').description('make the certificates of a cluster');
  pki
    .command('init')
    .description('make the certificate authority of a cluster: ca.pem and ca.key (keep ca.key off the nodes)')
    .requiredOption('--cluster <name>', 'the cluster, as `cluster:` in the configuration')
    .requiredOption('--out <dir>', 'where to write')
    .option('--days <n>', 'how long it is valid', parseDays, AUTHORITY_DAYS)
    .option('--force', 'replace existing files')
    .action(init);
  pki
    .command('issue')
    .description("issue a node's certificate (--node), or an operator's (--role and --name)")
    .requiredOption('--ca <dir>', 'the --out of `quorate pki init`')
    .requiredOption('--out <dir>', 'where to write')
    .option('--node <id>', 'the node; writes ID.pem and ID.key')
    .option('--host <name-or-ip...>', "the node's names and addresses, for other programs that check them")
    .option('--role <role>', `what an operator may do: ${CLIENT_ROLES.join(', ')}`)
    .option(
      '--name <name>',
      'who the operator is, as the audit will say; writes ROLE-NAME.pem and ROLE-NAME.key',
    )
    .option('--days <n>', 'how long it is valid', parseDays, CERTIFICATE_DAYS)
    .option('--force', 'replace existing files')
    .action(issue);
}
