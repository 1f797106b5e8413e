/**
 * The built programs as they are when the tests begin, in a folder of the tests' own: a rebuild meanwhile must not pull
 * the files from under running processes. Inside the checkout, so that packages and `proto` are found above it.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BUILD_LIMIT_MS = 120_000;
const TURN_POLL_MS = 100;
/** For the hook that calls `built`: a build, and the turns of the other files. */
export const BUILT_LIMIT_MS = 600_000;

export interface Built {
  readonly dist: string;
  remove(): void;
}

/** One file at a time: two clusters at once on two cores would test the machine's scheduler. Ends with the process. */
async function turn(): Promise<Server> {
  for (;;) {
    const server = createServer();
    server.unref();
    // An abstract socket cannot be left behind by a crash.
    server.listen(`\0quorate-e2e-${ROOT}`);
    const isOurs = await Promise.race([
      once(server, 'listening').then(() => true),
      new Promise<boolean>((resolve) => server.once('error', () => resolve(false))),
    ]).catch(() => false);
    if (isOurs) return server;
    await new Promise((next) => setTimeout(next, TURN_POLL_MS));
  }
}

export async function built(): Promise<Built> {
  const server = await turn();
  const run = promisify(execFile);
  // Builds only what is missing or older than its source.
  await run(join(ROOT, 'scripts', 'quorate'), ['--version'], { timeout: BUILD_LIMIT_MS });
  const dist = join(ROOT, '.local', `e2e-${process.pid}`);
  mkdirSync(join(ROOT, '.local'), { recursive: true });
  rmSync(dist, { recursive: true, force: true });
  // Under the build's own lock: never half of one build and half of another.
  await run('flock', [join(ROOT, '.local', 'build.lock'), 'cp', '-r', join(ROOT, 'dist'), dist]);
  if (!existsSync(join(dist, 'quorate.mjs'))) throw new Error(`there is no quorate.mjs in ${dist}`);
  return {
    dist,
    remove: () => {
      rmSync(dist, { recursive: true, force: true });
      server.close();
    },
  };
}
