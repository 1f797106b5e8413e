/**
 * Entry of the executor process (dist/executor.mjs).
 *
 *     node executor.mjs --config FILE [--node ID] [--replace] [--stay] [--wait-ms MS] [--self-fence sysrq]
 *     node executor.mjs --config FILE [--node ID] --release-within MS
 *
 * Exits 0 when its agent has gone, everything is released and said, and no new agent came; with `--stay` never.
 * `--release-within`: see release-only.ts.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { graphOf, loadConfig } from '../config/index.ts';
import { ERRORS, type ErrorCode, EXIT, QuorateError } from '../errors.ts';
import { Channel } from './channel.ts';
import { CloudCalls } from './cloud-calls.ts';
import { cloudFencer, cloudResources, loadCloud } from './cloud-resources.ts';
import { ChildRunner } from './commands.ts';
import { CopiesReader } from './copies.ts';
import { startDoctor } from './doctor.ts';
import { ownFailures } from './doctor-timer.ts';
import { Executor } from './executor.ts';
import { FenceOrders } from './fence-orders.ts';
import { GuardProxy } from './guard-proxy.ts';
import { sendLastSnapshot } from './last-snapshot.ts';
import { takeLock } from './lock.ts';
import { PoolsReader } from './pools.ts';
import { ReceiverProcess } from './receiver-process.ts';
import { releaseOnly } from './release-only.ts';
import { Replicator, type ReplicatorOptions } from './replicator.ts';
import { drbdResourcesOf, ResyncWatch } from './resync-watch.ts';
import { guardDataOf, markOf, otherDataNodes, resourcesOf, sendsReplicas } from './settings.ts';
import { leaseGate, newLeaseBuffer, SharedLease } from './shared-lease.ts';
import { StatementLines } from './statement-lines.ts';
import { callsSocket, channelSocket } from './unix-path.ts';

const WAIT_MS = 10_000;
const LOCK_LIMIT_MS = 10_000;
/** Of a reading that is called off. */
const KILL_LIMIT_MS = 100;
const LAST_RELEASE_LIMIT_MS = 30_000;

// Never on stdout; and not synchronously: a full pipe must not stop the executor.
const logger = pino({ name: 'executor', base: null }, pino.destination({ fd: 2, sync: false }));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      node: { type: 'string' },
      replace: { type: 'boolean', default: false },
      stay: { type: 'boolean', default: false },
      'wait-ms': { type: 'string', default: String(WAIT_MS) },
      'self-fence': { type: 'string', default: 'off' },
      'kill-users': { type: 'boolean', default: false },
      'release-within': { type: 'string' },
    },
  });
  if (values.config === undefined)
    throw new QuorateError('config-unreadable', 'the executor needs --config FILE');
  const guardProgram = new URL('./guard.mjs', import.meta.url);
  if (values['release-within'] !== undefined) {
    const limitMs = Number(values['release-within']);
    return process.exit(
      await releaseOnly({
        mayKill: values['kill-users'],
        file: values.config,
        node: values.node,
        limitMs,
        guardProgram,
        onDeath: die,
      }),
    );
  }
  const config = loadConfig(values.config, { node: values.node });
  // `fuser -k` kills whoever has its working directory on a mount that must go, and that must not be us.
  process.chdir('/');
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const leaseBuffer = newLeaseBuffer();
  const lease = new SharedLease(leaseBuffer);
  const resources = resourcesOf(config);

  // What the guard says while the rest is being built is kept until there is somebody to hear it.
  const early: Parameters<Executor['onGuardReport']>[0][] = [];
  let executor: Executor | null = null;
  let channel: Channel | null = null;
  const resyncCommands = new ChildRunner(`resyncs of ${config.dataDir}`, systemClock);
  const resyncs = new ResyncWatch({
    resources: drbdResourcesOf(config),
    runner: resyncCommands,
    clock: systemClock,
    send: (event) => channel?.send(event),
  });
  const loaded = await GuardProxy.load(
    guardProgram,
    guardDataOf(config, selfFenceOf(values['self-fence']), leaseBuffer),
    {
      onReport: (report) => {
        if (report.kind === 'data') resyncs.onSyncing(report.syncing);
        if (executor === null) early.push(report);
        else executor.onGuardReport(report);
      },
      onDeath: (error) => die(error),
    },
  );
  const lock = await takeLock(
    config.dataDir,
    { mayReplace: values.replace, limitMs: LOCK_LIMIT_MS },
    systemClock,
  );
  const guard = await loaded.begin();
  const mayMutate = leaseGate(lease, systemClock.now);
  const calls = await CloudCalls.listen(callsSocket(config.dataDir), (why) =>
    logger.warn({ event: 'cloud-calls-untold', why }),
  );
  const parts = {
    clock: systemClock,
    random: Math.random,
    mayMutate,
    apis: await loadCloud(config, mayMutate, calls),
  };
  const waiting = new Waiting(values.stay ? null : Number(values['wait-ms']), () => void end(EXIT.done));
  const pools = new PoolsReader(config, { withLeftOut: true });
  const copies = new CopiesReader(config);
  const statements = new StatementLines(config.cluster, config.tls);
  const replicating: ReplicatorOptions = {
    program: fileURLToPath(new URL('./replicator.mjs', import.meta.url)),
    args: ['--config', config.file, '--node', config.node],
    mark: markOf(config),
    clock: systemClock,
    onReport: (report) => channel?.send({ kind: 'replication', report }),
    log: (level, fields) => logger[level](fields),
  };
  const replicator = sendsReplicas(config) ? new Replicator(replicating) : null;
  const receiver = new ReceiverProcess({
    config,
    program: new URL('./receiver.mjs', import.meta.url),
    clock: systemClock,
    log: (level, fields) => logger[level](fields),
  });
  const running = new Executor({
    node: config.node,
    cluster: config.cluster,
    graph: graphOf(resources),
    cloud: cloudResources(config, parts),
    otherDataNodes: otherDataNodes(config),
    hasReplication: resources.some((resource) => resource.kind === 'drbd'),
    guard,
    fences: new FenceOrders({
      clock: systemClock,
      fencer: (mayFence) => cloudFencer(config, parts, mayFence),
    }),
    lease,
    clock: systemClock,
    send: (event) => channel?.send(event),
    sendStatement: (address, statement, signal) => statements.send(address, statement, signal),
    prepareStatement: (members) => statements.prepare(members),
    endStatements: () => statements.close(),
    ...(replicator === null
      ? {}
      : { replicator, lastSnapshot: (order) => sendLastSnapshot(replicating, order) }),
    log: (level, fields) => logger[level](fields),
  });
  executor = running;
  for (const report of early.splice(0)) running.onGuardReport(report);
  channel = await Channel.listen(channelSocket(config.dataDir), {
    onHello: (hello) => {
      const answer = running.onHello(hello);
      if ('session' in answer) waiting.stop();
      return answer;
    },
    features: () => ({ adoption: true, kept: running.kept, resync: true }),
    onOrder: (order) => {
      // It is about no lease, and nothing that is held.
      if (order.kind === 'read-pools') void pools.answer(order.id, (event) => channel?.send(event));
      else if (order.kind === 'read-copies')
        void copies
          .read()
          .then((read) => channel?.send({ kind: 'copies-read', id: order.id, copies: [...read] }));
      else if (order.kind === 'follow-resync') resyncs.follow();
      else {
        if (order.kind === 'members') receiver.setMembers([...order.members.keys()]);
        running.onOrder(order);
      }
    },
    onClosed: () => {
      const { saidBye } = running;
      resyncs.unfollow();
      running.onClosed();
      void running.ending.then(() => {
        if (channel?.isConnected === true) return;
        if (saidBye && !values.stay) void end(EXIT.done);
        else waiting.start();
      });
    },
  });
  running.start();
  waiting.start();
  const doctor = startDoctor({
    config,
    timing: () => running.timing,
    log: (level, fields) => logger[level](fields),
    onSummary: (summary) => running.onDoctor(ownFailures(summary)),
    cloudWatch: calls,
  });
  receiver.start();
  logger.info({ event: 'executor-started', node: config.node, pid: process.pid });

  let isEnding = false;
  async function end(code: number): Promise<void> {
    if (isEnding) return;
    isEnding = true;
    running.close();
    resyncs.stop();
    const readers = [doctor.stop(), pools.stop(), copies.stop(), calls.close()];
    readers.push(resyncCommands.killInFlight(KILL_LIMIT_MS));
    await Promise.all([replicator?.stop(), receiver.stop(), ...readers]);
    await channel?.close();
    lock.close();
    await guard.close();
    logger.info({ event: 'executor-ended', code });
    logger.flush(() => process.exit(code));
  }

  // Ctrl-C reaches agent and executor: with an agent it is the agent that says when to go.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (channel?.isConnected === true) {
        waiting.setLimit(0);
        return;
      }
      running.keepNoMore('the executor is told to end');
      void running.ending.then(() => end(EXIT.done));
    });
  }
  process.on('uncaughtException', (error) => {
    logger.fatal({ event: 'invariant-broken', why: error.stack ?? error.message });
    const released = guard.ask({ op: 'abrupt', epoch: null, why: 'the main thread failed' });
    void Promise.race([released, systemClock.sleep(LAST_RELEASE_LIMIT_MS)]).finally(() => die(error));
  });
}

function selfFenceOf(how: string): 'off' | 'sysrq' {
  if (how === 'off' || how === 'sysrq') return how;
  throw new QuorateError('usage', `--self-fence ${how} is not known: off or sysrq`);
}

/** After the last agent has gone: how long to wait for the next one. */
class Waiting {
  #limitMs: number | null;
  readonly #onOver: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(limitMs: number | null, onOver: () => void) {
    this.#limitMs = limitMs;
    this.#onOver = onOver;
  }

  setLimit(limitMs: number): void {
    this.#limitMs = limitMs;
  }

  start(): void {
    this.stop();
    if (this.#limitMs !== null) this.#timer = setTimeout(this.#onOver, this.#limitMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Without the guard, or with a broken invariant: end at once. A successor releases (O1), the watchdog ticks on. */
function die(error: unknown): never {
  const known = knownError(error);
  const said = {
    msg: known?.oneLine ?? String(error),
    code: known?.code ?? null,
    why: known?.message ?? null,
  };
  process.stderr.write(
    `${JSON.stringify({ level: 60, name: 'executor', event: 'executor-died', ...said })}\n`,
  );
  process.exit(known?.exitCode ?? EXIT.invariant);
}

/** An error of the guard's thread comes without its class. */
function knownError(error: unknown): QuorateError | null {
  if (error instanceof QuorateError) return error;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return Object.hasOwn(ERRORS, error.code) ? new QuorateError(error.code as ErrorCode, error.message) : null;
}

try {
  await main();
} catch (error) {
  die(error);
}
