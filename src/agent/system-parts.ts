/** What a real agent is put together from: this host's clock, disk, sockets and processes. */
import { existsSync, readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { AdminServer, LocalSocket } from '../admin/index.ts';
import { Alerts } from '../alerts/index.ts';
import { systemClock } from '../clock.ts';
import { agentSocket, type Config, configFingerprint, deriveTiming } from '../config/index.ts';
import type { Timing } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import {
  createExecutorClient,
  followCalls,
  ResumeWatch,
  readWatchdogTimeoutMs,
  SuspendCheck,
} from '../executor/index.ts';
import { HOST_ID_FILE, readHostId } from '../host-id.ts';
import { decide, HttpServer, loadStatusPage, newsOf, type ProcessFacts } from '../http/index.ts';
import { Tap } from '../inspect/index.ts';
import { diskMarks, LogStore, sha256 } from '../log/index.ts';
import {
  askFacts,
  CertificateWatch,
  certificateWarnings,
  checkTls,
  PeerTransport,
  readTls,
  type TlsMaterial,
} from '../peer/index.ts';
import { VERSION } from '../version.ts';
import type { AgentParts } from './agent-parts.ts';
import type { Backend } from './backend.ts';
import { bootPromiseStart } from './boot-promise.ts';
import { pairWith } from './pairing.ts';
import { otherMembers } from './roster.ts';

/** Clients wait meanwhile for something that does not work here. */
const FITNESS_LIMIT_MS = 1000;

/** Rejects with a QuorateError where the config names what is not there. */
export async function systemParts(
  config: Config,
  logger: Logger,
  selfFence: 'off' | 'sysrq',
): Promise<AgentParts> {
  const { node, cluster, dataDir, members } = config;
  const timing = configuredTiming(config);
  const tls = await readTls(config.tls);
  checkTls(tls, { cluster, node });
  const renewals: ((tls: TlsMaterial) => void)[] = [];
  const certificates = new CertificateWatch({
    ...{ paths: config.tls, tls, expected: { cluster, node }, clock: systemClock, logger },
    onRenewed: (renewed) => {
      for (const use of renewals) use(renewed);
    },
  });
  const fingerprint = configFingerprint(config);
  const tap = new Tap({
    self: node,
    others: [...otherMembers(config).keys()],
    followCalls: (onReport) => followCalls(dataDir, onReport),
  });
  const resumes = new ResumeWatch(new SuspendCheck(), systemClock.now);
  return {
    clock: systemClock,
    seed: Math.floor(Math.random() * 2 ** 31),
    timing,
    executor: createExecutorClient({
      node,
      cluster,
      configFile: config.file,
      dataDir,
      members: otherMembers(config),
      timing,
      args: ['--self-fence', selfFence],
      tap,
    }),
    openLog: () => LogStore.open(dataDir, { digest: sha256 }),
    diskMarks: diskMarks(dataDir),
    certificateWarnings: () => certificateWarnings(certificates.facts, systemClock.wallMs()),
    resumedAt: () => resumes.look(),
    bootPromiseStart: () => bootPromiseStart(dataDir),
    transport: (handlers) => {
      const transport = new PeerTransport({
        ...handlers,
        facts: () => ({
          fitness: handlers.fitness(),
          node,
          version: VERSION,
          nodeVersion: process.versions.node,
          config: fingerprint,
          wallMs: systemClock.wallMs(),
          hostId: hostId(),
        }),
        pools: () => handlers.pools(),
        pair: (from, request) => pairWith(config, from, request, logger),
        self: node,
        cluster,
        listen: members.find(({ id }) => id === node)?.peer ?? '',
        tls: certificates.current,
        logger,
        tap,
      });
      renewals.push((renewed) => transport.replaceTls(renewed));
      return transport;
    },
    askFitness: async (peer, address) => {
      if (address === null)
        throw new QuorateError('peer-unreachable', `the address of ${peer} is not known here`);
      const asked = {
        tls: certificates.current,
        cluster,
        from: node,
        to: peer,
        times: 1,
        deadlineMs: FITNESS_LIMIT_MS,
        tap,
      };
      const [answer] = await askFacts(address, asked);
      return answer?.facts.fitness ?? null;
    },
    serve: async (backend: Backend) => {
      const local = new LocalSocket(agentSocket(dataDir), backend);
      const facts = processFacts(certificates);
      const alerts =
        config.alerts === null
          ? null
          : new Alerts({
              ...{ config: config.alerts, cluster, node, clock: systemClock, logger },
              news: () => newsOf(backend.statusFacts(), facts),
            });
      const admin = new AdminServer({
        ...{ listen: config.admin.listen, cluster, tls: certificates.current, backend, tap },
        ...(alerts && { alerts }),
        isWell: () => decide('health', backend.roleFacts()).answer.ok,
      });
      const http =
        config.http === null
          ? null
          : new HttpServer({
              listen: config.http.listen,
              backend,
              process: facts,
              page: loadStatusPage(),
            });
      renewals.push((renewed) => admin.replaceTls(renewed));
      const close = async () => {
        certificates.end();
        alerts?.end();
        // First: a stream that goes on would keep the admin service from closing.
        tap.end();
        await Promise.allSettled([admin.close(), local.close(), http?.close()]);
      };
      try {
        await local.start();
        await admin.start();
        await http?.start();
        certificates.start();
      } catch (error) {
        await close();
        throw error;
      }
      return { close };
    },
  };
}

/** What the config says, for a node without a log and for `bootstrap`; afterwards the log's timing rules (L8). */
function configuredTiming(config: Config): Timing {
  const { mode, device, timeoutMs } = config.watchdog;
  if (mode === 'off' || (mode === 'automatic' && !existsSync(device)))
    return deriveTiming(config.timing, null);
  if (!existsSync(device))
    throw new QuorateError('watchdog-unusable', `watchdog.device ${device} does not exist`);
  const readMs = timeoutMs ?? readWatchdogTimeoutMs(device);
  if (readMs === null)
    throw new QuorateError('watchdog-unusable', `${device} does not say its timeout: set watchdog.timeout`);
  return deriveTiming(config.timing, readMs);
}

function processFacts(watch: CertificateWatch): ProcessFacts {
  return {
    version: VERSION,
    nodeVersion: process.versions.node,
    // As they are at each question: they are renewed while the agent runs.
    get certificates() {
      const { ends, refused } = watch.facts;
      return { ...ends, refused };
    },
  };
}

/** Read for each question: the module may be loaded later than the agent. */
function hostId(): string | null {
  return existsSync(HOST_ID_FILE) ? readHostId(readFileSync(HOST_ID_FILE, 'utf8')) : null;
}
