/** `node dist/local-cluster.mjs links | watchdogs | controller`: the helper processes of a local cluster. */

// Loaded one at a time: the links need nothing of the controller's packages.
const PROGRAMS: Readonly<Record<string, () => Promise<void>>> = {
  links: async () => (await import('./links/index.ts')).runLinks(),
  watchdogs: async () => (await import('./watchdog/index.ts')).runWatchdogs(),
  controller: async () => (await import('./controller-process.ts')).runController(),
};

// Ctrl-C reaches the whole group; these end with their parent, after it has cleaned up.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const run = PROGRAMS[process.argv[2] ?? ''];
if (run === undefined || process.send === undefined) {
  process.stderr.write('usage: started by LocalCluster, with an IPC channel\n');
  process.exit(2);
}
await run();

export {};
