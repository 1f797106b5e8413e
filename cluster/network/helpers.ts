/** `node dist/network-helper.mjs NAME`: the helper processes of a test network, most of them inside its namespaces. */

// Loaded one at a time: only the router needs the controller's packages.
const PROGRAMS: Readonly<Record<string, () => Promise<void>>> = {
  keeper: async () => (await import('./keeper.ts')).runKeeper(),
  watchdogs: async () => (await import('../local/watchdog/index.ts')).runWatchdogs(),
  router: async () => (await import('./router-process.ts')).runRouter(),
  client: async () => (await import('./probes/client.ts')).runClient(),
  sampler: async () => (await import('./probes/sampler.ts')).runSampler(),
  'slow-cable': async () => (await import('./slow-cable.ts')).runSlowCable(),
  responder: async () => (await import('./probes/responder.ts')).runResponderFrom(process.argv[3] ?? ''),
};

// Ctrl-C reaches the whole group; these end with their parent, after it has cleaned up. A responder ends with its node.
process.on('SIGINT', () => undefined);
if (process.argv[2] !== 'responder') process.on('SIGTERM', () => undefined);

const run = PROGRAMS[process.argv[2] ?? ''];
if (run === undefined) {
  process.stderr.write('usage: started by a test network\n');
  process.exit(2);
}
await run();

export {};
