/** The thread that sends, from the agent's side: started with it, and again where it has died. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { assert } from '../core/index.ts';
import type { SenderData, SenderReport, SenderRequest } from './protocol.ts';

export interface Sender {
  /** Never blocks, never throws; false: it was not taken. */
  post(request: SenderRequest): boolean;
  end(): void;
}

export type MakeSender = (
  data: SenderData,
  onReport: (report: SenderReport) => void,
  onLost: (why: string) => void,
) => Sender;

const PROGRAM = 'alerts.mjs';
const HEAP = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 8 } as const;
const RESTART_MS = 10_000;

export const threadSender: MakeSender = (data, onReport, onLost) => {
  const program = programFile();
  let worker: Worker | null = null;
  let isEnded = false;
  let restart: NodeJS.Timeout | undefined;
  const again = (why: string): void => {
    if (isEnded) return;
    onLost(why);
    restart = setTimeout(start, RESTART_MS);
    restart.unref();
  };
  const start = (): void => {
    let started: Worker;
    try {
      started = new Worker(program, { workerData: data, resourceLimits: HEAP });
    } catch (error) {
      // No memory, no more threads: it costs the alerts, not the tenure.
      return again(String(error));
    }
    worker = started;
    started.unref();
    started.on('message', onReport);
    let why = 'it ended';
    started.on('error', (error) => {
      why = error.message;
    });
    started.on('exit', () => {
      worker = null;
      again(why);
    });
  };
  start();
  return {
    post(request) {
      worker?.postMessage(request);
      return worker !== null;
    },
    end() {
      isEnded = true;
      clearTimeout(restart);
      void worker?.terminate();
    },
  };
};

/** Beside the commands; this file may have become a part of a chunk below them. */
function programFile(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, PROGRAM))) {
    const parent = dirname(directory);
    assert(parent !== directory, `${PROGRAM} is missing beside the program`);
    directory = parent;
  }
  return join(directory, PROGRAM);
}
