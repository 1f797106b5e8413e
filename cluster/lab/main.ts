/**
 * `scripts/lab`: three real kernels with the product inside, and what can happen to them. See docs/lab.md.
 *
 * Whoever makes a lab owns its namespaces; everything of it runs in them. Whatever ends the owner (its end, a signal, or
 * kill -9, where the keeper is left), everything in them is killed and they are removed. Only the logs stay.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HelperProcess } from '../local/node/index.ts';
import {
  inside as inNamespace,
  type KeeperCommand,
  removeLeftovers,
  removeNamespacesOf,
} from '../network/index.ts';
import { type LabCommand, parseArguments, USAGE } from './arguments.ts';
import type { EngineName } from './engine.ts';
import { engineNamed } from './engines.ts';
import { inside, type Task } from './inside.ts';
import type { Output } from './perform.ts';
import type { ChannelName, ServiceName, StorageName, TimingName, WatchdogName } from './plan.ts';
import { whyNoLab, whyNoStorage, whyNoZfsBuild } from './prerequisites.ts';
import { buildZfs, guestImage } from './qemu/index.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { ask, socketOf } from './server.ts';
import { buildWires, namespaceOf } from './wires.ts';

const UP_LIMIT_MS = 600_000;
const POLL_MS = 50;

const script = fileURLToPath(import.meta.url);
const dist = dirname(script);
const checkout = checkoutOf(dist);
const began = performance.now();
const output: Output = {
  say: (text) => {
    const at = ((performance.now() - began) / 1_000).toFixed(1).padStart(6);
    process.stderr.write(`${at} s  ${text}\n`);
  },
  print: (text) => void process.stdout.write(`${text}\n`),
};

/** Where cluster/lab/guest and cluster/host are: above the bundles, which tests copy somewhere deeper. */
function checkoutOf(folder: string): string {
  if (existsSync(join(folder, 'cluster/lab/guest'))) return folder;
  if (folder === dirname(folder)) throw new Error('the lab runs from a checkout only');
  return checkoutOf(dirname(folder));
}

function endWith(exit: number, text: string): never {
  process.stderr.write(`lab: ${text}\n`);
  process.exit(exit);
}

/** The living process whose disks are there; null: there is none. */
function ownerOf(run: string): number | null {
  try {
    const pid = Number(readFileSync(join(run, 'owner'), 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}

interface Making {
  readonly folder: string;
  readonly engine: EngineName;
  readonly timing: TimingName;
  readonly storage: StorageName;
  readonly services: ServiceName;
  readonly watchdog: WatchdogName;
  readonly channel: ChannelName;
}

/** Ends the program where a lab cannot be made here. */
async function prepare({ engine, storage }: Making): Promise<void> {
  const why = (await whyNoLab(engine)) ?? (await whyNoStorage(storage, output.say));
  if (why !== null) endWith(1, why);
  await engineNamed(engine, output.say);
}

/** Makes a lab, has the command done in it, and removes it. */
async function own(command: LabCommand, making: Making): Promise<number> {
  await prepare(making);
  removeLeftovers();
  const { folder } = making;
  const run = join(folder, 'run');
  const other = ownerOf(run);
  if (other !== null)
    endWith(1, `process ${other} has a lab in ${folder}: wait for it, or name another --folder`);
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, 'owner'), `${process.pid}`);
  process.once('exit', () => {
    removeNamespacesOf(process.pid);
    rmSync(run, { recursive: true, force: true });
    rmSync(socketOf(folder), { force: true });
  });
  process.on('SIGINT', () => process.exit(130));
  process.on('SIGTERM', () => process.exit(143));
  process.on('SIGHUP', () => process.exit(129));
  const keeper = new HelperProcess<KeeperCommand>(
    join(dist, 'lab-helper.mjs'),
    'keeper',
    () => undefined,
    () => endWith(1, 'the keeper of the lab ended'),
  );
  await keeper.request({ kind: 'keep', tags: [], directory: run });
  await buildWires(process.pid);
  const isBare = command.kind === 'by-hand' || (command.kind === 'up' && command.isBare);
  const task: Task = { ...making, owner: process.pid, dist, checkout, seed: 1, isBare, command };
  const words = [
    ...inNamespace(namespaceOf(process.pid, 'switch')),
    ...[process.execPath, '--enable-source-maps', script, 'inside', JSON.stringify(task)],
  ];
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
}

/** `up`: the owner goes on in the background. */
async function up(making: Making, isBare: boolean): Promise<number> {
  const { folder } = making;
  if ((await ask(folder, { kind: 'status' }, silent)) !== null)
    endWith(1, 'a lab is up already: scripts/lab down');
  await prepare(making);
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, 'lab.log');
  rmSync(logFile, { force: true });
  const log = openSync(logFile, 'a');
  const owner = spawn(
    process.execPath,
    ['--enable-source-maps', script, 'keep-up', JSON.stringify(making), isBare ? 'bare' : ''],
    {
      detached: true,
      stdio: ['ignore', log, log],
    },
  );
  let hasEnded = false;
  owner.once('exit', () => {
    hasEnded = true;
  });
  const deadline = performance.now() + UP_LIMIT_MS;
  while (!existsSync(socketOf(folder))) {
    if (hasEnded) endWith(1, `the lab did not come up:\n${readFileSync(logFile, 'utf8')}`);
    if (performance.now() > deadline) {
      owner.kill('SIGTERM');
      endWith(1, `the lab did not come up in ${UP_LIMIT_MS / 1000} s: see ${logFile}`);
    }
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
  owner.unref();
  output.say(`the lab is up; its logs are in ${folder}`);
  return 0;
}

async function buildModules(): Promise<number> {
  const why = whyNoZfsBuild();
  if (why !== null) endWith(1, why);
  await buildZfs(await guestImage(output.say), output.say);
  return 0;
}

const silent: Output = { say: () => undefined, print: () => undefined };

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(
      `${USAGE}scenarios:\n${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(18)}${about}\n`).join('')}`,
    );
    return 0;
  }
  const {
    command,
    folder: given,
    engine,
    timing,
    storage,
    services,
    watchdog,
    channel,
  } = parseArguments(words, SCENARIOS);
  const folder = resolve(given ?? join(checkout, '.local/lab'));
  const making: Making = { folder, engine, timing, storage, services, watchdog, channel };
  if (command.kind === 'build-zfs') return buildModules();
  if (command.kind === 'up') return up(making, command.isBare);
  // Without the product, so never in a lab that has it.
  if (command.kind === 'by-hand') return own(command, making);
  const exit = await ask(folder, command, output);
  if (exit !== null) {
    // `down` is done when nothing is left.
    const deadline = performance.now() + UP_LIMIT_MS;
    while (command.kind === 'down' && existsSync(socketOf(folder)) && performance.now() < deadline)
      await new Promise((next) => setTimeout(next, POLL_MS));
    return exit;
  }
  if (command.kind === 'run' || command.kind === 'demo') return own(command, making);
  return endWith(1, 'no lab is up: scripts/lab up');
}

try {
  const [first = '', second = '', third = ''] = process.argv.slice(2);
  // Started by this program only.
  if (first === 'inside') {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
    process.exit(await inside(JSON.parse(second) as Task, output));
  }
  if (first === 'keep-up')
    process.exit(await own({ kind: 'up', isBare: third === 'bare' }, JSON.parse(second) as Making));
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (error instanceof RangeError) endWith(2, `${error.message}\n${USAGE}`);
  endWith(1, error instanceof Error ? (error.stack ?? error.message) : String(error));
}
