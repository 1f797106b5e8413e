/**
 * The first calls of a takeover's cloud client, in a process that has only been warmed: no takeover may pay for loading, compiling
 * or connecting. Against the embedded controller, in this process; every client is a process of its own.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { VpcController } from '../../cluster/local/controller/index.ts';
import { freeNetwork, releaseNetwork } from '../../cluster/local/node/index.ts';
import {
  ALLOCATION,
  controllerHost,
  DEFAULT_MEMBERS,
  PORT,
  planController,
  planNodes,
} from '../../cluster/local/plan.ts';
import { loadEc2Client } from '../../src/resources/index.ts';
import { quantile, timed } from './floor.ts';

/** As often as the executor of a node that holds nothing reads the address (`CLOUD_PACE`), and a bit: the socket is old by then. */
const IDLE_MS = 10_500;
const WARM_READS = 20;
const LIMIT_MS = 30_000;
const CALL_LIMIT_MS = 5_000;

export interface CloudTask {
  readonly endpoint: string;
  readonly interface: string;
}
export interface FirstCalls {
  readonly readMs: number;
  readonly associateMs: number;
  /** Reads after that: what a call costs here and now. */
  readonly warmMs: number;
}
export interface CloudReport {
  /** Medians. */
  readonly first: FirstCalls;
  readonly worst: FirstCalls;
  readonly clients: number;
}

export async function benchCloud(script: string, clients: number): Promise<CloudReport> {
  const network = await freeNetwork();
  const nodes = planNodes(network, DEFAULT_MEMBERS);
  const listen = { host: controllerHost(network), port: PORT.controller };
  const state = { ...planController(network, nodes), region: 'us-east-1' };
  const controller = new VpcController({ state, listen, seed: 1 });
  await controller.start();
  try {
    const measured: FirstCalls[] = [];
    for (let count = 0; count < clients; count += 1) {
      const { interface: name = '' } = nodes[count % 2] ?? {};
      measured.push(
        await askChild(script, { endpoint: `http://${listen.host}:${listen.port}`, interface: name }),
      );
    }
    const at = (share: number): FirstCalls => ({
      readMs: quantile(
        measured.map(({ readMs }) => readMs),
        share,
      ),
      associateMs: quantile(
        measured.map(({ associateMs }) => associateMs),
        share,
      ),
      warmMs: quantile(
        measured.map(({ warmMs }) => warmMs),
        share,
      ),
    });
    return { first: at(0.5), worst: at(1), clients };
  } finally {
    await controller.stop();
    releaseNetwork(network);
  }
}

async function askChild(script: string, task: CloudTask): Promise<FirstCalls> {
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  const child = fork(script, ['--cloud'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  try {
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`a client of the benchmark ended (${code})`);
    });
    child.send(task);
    const [answer] = (await Promise.race([once(child, 'message'), ended])) as [FirstCalls];
    return answer;
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

/** The child: a standby's client, and then its first takeover. */
export async function runCloudClient(): Promise<void> {
  const [task] = (await once(process, 'message')) as [CloudTask];
  const { Ec2Client } = await loadEc2Client();
  const client = new Ec2Client({
    region: 'us-east-1',
    endpoint: task.endpoint,
    localAddress: null,
    mayMutate: () => true,
  });
  const options = () => ({ signal: AbortSignal.timeout(CALL_LIMIT_MS), timeoutMs: CALL_LIMIT_MS });
  const warm = await client.warm({ kind: 'address', allocationId: ALLOCATION }, options());
  if (!warm.hasRead || !warm.hasRehearsed) throw new Error('the client could not be warmed');
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const [readMs = 0] = await timed(1, () => client.describeAddress(ALLOCATION, options()));
  const request = { allocationId: ALLOCATION, interfaceId: task.interface, allowReassociation: true };
  const [associateMs = 0] = await timed(1, () => client.associateAddress(request, options()));
  const reads = await timed(WARM_READS, () => client.describeAddress(ALLOCATION, options()));
  process.send?.({ readMs, associateMs, warmMs: quantile(reads, 0.5) } satisfies FirstCalls);
}
