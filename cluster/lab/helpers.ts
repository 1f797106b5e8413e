/** `node dist/lab-helper.mjs NAME`: the lab's helper processes. They end with their parent, after it has cleaned up. */
import { runKeeper, runRouter } from '../network/index.ts';
import { runClient } from './client.ts';

const PROGRAMS: Readonly<Record<string, () => void>> = {
  keeper: runKeeper,
  router: runRouter,
  client: runClient,
};

// Ctrl-C reaches the whole group.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const run = PROGRAMS[process.argv[2] ?? ''];
if (run === undefined) {
  process.stderr.write('usage: started by a lab\n');
  process.exit(2);
}
run();
