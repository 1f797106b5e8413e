/** The first words with the executor on a socket: what it can do, and who asks; and how its lines are read. */
import { systemClock } from '../clock.ts';
import type { Epoch } from '../core/index.ts';
import { readLines } from '../lines.ts';
import type { ExecutorClientOptions } from './client-contract.ts';
import { ownProcess } from './processes.ts';
import { type Greeting, greetingSchema, type OrderText, PROTOCOL_VERSION } from './protocol.ts';
import { tryConnect } from './start-executor.ts';

export type Features = Extract<Greeting, { kind: 'features' }>;

const FEATURES_LIMIT_MS = 2000;
/** An executor of before answers none of them, in the first seconds of its agent only. */
const FEATURES_TRIES = 5;
const FEATURES_PAUSE_MS = 3000;

/** Null: not one of that kind. */
export function parse<Output>(
  schema: { safeParse(value: unknown): { success: true; data: Output } | { success: false } },
  line: string,
): Output | null {
  try {
    const result = schema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

/** Null: nobody is there, or one of a version that closes the connection at what it does not know. */
export async function askFeatures(path: string): Promise<Features | null> {
  const socket = await tryConnect(path);
  if (socket === null) return null;
  return new Promise((resolve) => {
    const answer = (greeting: Greeting | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(greeting?.kind === 'features' ? greeting : null);
    };
    const timer = setTimeout(() => answer(null), FEATURES_LIMIT_MS);
    socket.once('close', () => answer(null));
    readLines(socket, {
      onTooLong: () => answer(null),
      onLine: (line) => answer(parse(greetingSchema, line)),
    });
    socket.write(`${JSON.stringify({ kind: 'features' } satisfies OrderText)}\n`);
  });
}

/** As `askFeatures`; asks one again that has just been started and may be too busy to answer in time, while that `isWanted`. */
export async function featuresOfBusy(path: string, isWanted: () => boolean): Promise<Features | null> {
  let features = await askFeatures(path);
  for (let again = 0; features === null && again < FEATURES_TRIES && isWanted(); again += 1) {
    await systemClock.sleep(FEATURES_PAUSE_MS);
    if (isWanted()) features = await askFeatures(path);
  }
  return features;
}

/** `adopt` (L7): what the process before may have left. */
export function helloOf(options: ExecutorClientOptions, adopt: Epoch | null): OrderText {
  const { node, cluster, configFile, members, timing, agentProcess = ownProcess() } = options;
  return {
    kind: 'hello',
    version: PROTOCOL_VERSION,
    node,
    cluster,
    config: configFile,
    ...agentProcess,
    members: Object.fromEntries(members),
    timing,
    // Never there otherwise: an executor of before would not know it.
    ...(adopt === null ? {} : { adopt }),
  };
}
