/**
 * node dist/local-controller.mjs --state FILE --listen 127.x.0.1:PORT [--seed N]
 *
 * Prints one line of JSON when it listens: {"event":"listening","endpoint":"http://…","pid":…,"seed":…}. Problems go to
 * stderr, as JSON lines. SIGTERM and SIGINT end it with exit code 0.
 */
import { parseArgs } from 'node:util';
import { EXIT, QuorateError } from '../../../src/errors.ts';
import { VpcController } from './controller.ts';
import { readStateFile } from './state-file.ts';

const USAGE = 'usage: local-controller --state FILE --listen 127.x.y.z:PORT [--seed NUMBER]';

class UsageError extends Error {}

function parseOptions() {
  try {
    const seed = { type: 'string', default: '1' } as const;
    return parseArgs({ options: { state: { type: 'string' }, listen: { type: 'string' }, seed } }).values;
  } catch (cause) {
    throw new UsageError(`${cause instanceof Error ? cause.message : String(cause)}\n${USAGE}`, { cause });
  }
}

function parseListen(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(127\.\d+\.\d+\.\d+):(\d{1,5})$/.exec(text) ?? [];
  if (host === '' || Number(port) > 65_535) throw new UsageError(`--listen ${text}: expected 127.x.y.z:PORT`);
  return { host, port: Number(port) };
}

async function run(): Promise<void> {
  const values = parseOptions();
  if (values.state === undefined || values.listen === undefined) throw new UsageError(USAGE);
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new UsageError(`--seed ${values.seed}: expected a whole number`);
  const controller = new VpcController({
    state: readStateFile(values.state),
    listen: parseListen(values.listen),
    seed,
    onProblem: (event, detail) => process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`),
  });
  await controller.start();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void controller.stop().then(() => process.exit(EXIT.done)));
  }
  const { endpoint } = controller;
  process.stdout.write(`${JSON.stringify({ event: 'listening', endpoint, pid: process.pid, seed })}\n`);
}

run().catch((error: unknown) => {
  const isOurs = error instanceof QuorateError || error instanceof UsageError;
  process.stderr.write(`${isOurs ? error.message : String(error)}\n`);
  if (error instanceof QuorateError) process.exit(error.exitCode);
  process.exit(error instanceof UsageError ? EXIT.usage : EXIT.failed);
});
