import { Agent } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { EC2Client, type EC2ServiceException } from '@aws-sdk/client-ec2';
import {
  type ControllerStateInput,
  VpcController,
  type VpcControllerOptions,
} from '../../cluster/local/controller/index.ts';

/** A block of its own for every test process: files run at the same time. */
const NET = `127.${20 + (process.pid % 200)}`;

export const A = { instance: 'i-0000000a', eni: 'eni-46561127', ip: `${NET}.2.1`, floating: `${NET}.2.101` };
export const B = { instance: 'i-0000000b', eni: 'eni-77f0c1aa', ip: `${NET}.2.2` };
export const HOST = `${NET}.0.1`;
export const VIP = { allocation: 'eipalloc-03a7e962', ip: `${NET}.80.1` };
export const SPARE = { allocation: 'eipalloc-0b5b5b5b', ip: `${NET}.80.2` };
export const ROUTES = 'rtb-8314a291';
export const OVERLAY = '192.168.77.77/32';

/** Two nodes in two zones, an address on A, an overlay route to A. Dwelling times are short. */
export function twoNodes(change: Partial<ControllerStateInput> = {}): ControllerStateInput {
  return {
    vpc: { id: 'vpc-0a1b2c3d', cidr: `${NET}.0.0/16` },
    subnets: [
      { id: 'subnet-a', zone: 'us-east-1a' },
      { id: 'subnet-b', zone: 'us-east-1b' },
    ],
    securityGroups: [{ id: 'sg-open' }, { id: 'sg-isolated', ingress: 'none' }],
    instances: [
      { id: A.instance, zone: 'us-east-1a', tags: { Name: 'a', role: 'data' } },
      { id: B.instance, zone: 'us-east-1b', tags: { Name: 'b', role: 'data' } },
    ],
    interfaces: [
      {
        id: A.eni,
        instance: A.instance,
        subnet: 'subnet-a',
        privateIps: [A.ip, A.floating],
        groups: ['sg-open'],
      },
      { id: B.eni, instance: B.instance, subnet: 'subnet-b', privateIps: [B.ip], groups: ['sg-open'] },
    ],
    addresses: [
      {
        allocationId: VIP.allocation,
        publicIp: VIP.ip,
        tags: { vip: '1' },
        associatedWith: { interface: A.eni },
      },
      { allocationId: SPARE.allocation, publicIp: SPARE.ip },
    ],
    routeTables: [{ id: ROUTES, main: true, routes: [{ destination: OVERLAY, interface: A.eni }] }],
    timing: { osShutdownMs: 300, stoppingMs: 60, pendingMs: 100, reassignMs: 150 },
    ...change,
  };
}

export interface Running {
  readonly controller: VpcController;
  readonly ec2: EC2Client;
  client(options?: {
    accessKey?: string;
    timeoutMs?: number;
    localAddress?: string;
    attempts?: number;
  }): EC2Client;
  stop(): Promise<void>;
}

export async function startController(
  change: Partial<ControllerStateInput> = {},
  options: Partial<VpcControllerOptions> = {},
): Promise<Running> {
  const controller = new VpcController({
    state: twoNodes(change),
    listen: { host: HOST, port: 0 },
    seed: 42,
    ...options,
  });
  await controller.start();
  const clients: EC2Client[] = [];
  const client: Running['client'] = ({
    accessKey = 'AKIDEXAMPLE',
    timeoutMs = 2_000,
    attempts = 1,
    localAddress,
  } = {}) => {
    const one = new EC2Client({
      endpoint: controller.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: accessKey, secretAccessKey: 'unused' },
      maxAttempts: attempts,
      requestHandler: {
        requestTimeout: timeoutMs,
        throwOnRequestTimeout: true,
        httpAgent: new Agent({ keepAlive: true, ...(localAddress === undefined ? {} : { localAddress }) }),
      },
    });
    clients.push(one);
    return one;
  };
  const stop = async () => {
    for (const one of clients) one.destroy();
    await controller.stop();
  };
  return { controller, ec2: client(), client, stop };
}

/** What a failed send() says, as `403 UnauthorizedOperation`; `ok` when it did not fail. */
export async function outcome(sent: Promise<unknown>): Promise<string> {
  try {
    await sent;
    return 'ok';
  } catch (error) {
    const { name, $metadata } = error as EC2ServiceException; // the SDK throws nothing else for a reply
    return `${$metadata?.httpStatusCode ?? '-'} ${name}`;
  }
}

/** A signed-looking Query request without an SDK, for what the SDK would not send. */
export async function raw(
  controller: VpcController,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; requestId: string | null }> {
  const response = await fetch(`${controller.endpoint}/`, {
    method: 'POST',
    headers: {
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIDRAW/20261123/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=00ff',
      ...headers,
    },
    body: new URLSearchParams({ Version: '2016-11-15', ...form }),
  });
  return {
    status: response.status,
    body: (await response.text()).replace(/^<\?xml[^>]*>\n/, ''),
    requestId: response.headers.get('x-amzn-requestid'),
  };
}

export async function local(
  controller: VpcController,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: unknown }> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(`${controller.endpoint}/_local/${path}`, init);
  return { status: response.status, json: await response.json() };
}

/** A TCP service of a node. Answers every line with its name and the line; keeps its connections for the test. */
export class Service {
  readonly sources: string[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(name: string) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sources.push(socket.remoteAddress ?? '');
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {});
      socket.on('data', (data) => socket.write(`${name}:${data.toString()}`));
      socket.on('end', () => socket.end(`${name}:end`));
    });
  }

  static async listen(name: string, ip: string, port = 0): Promise<Service> {
    const service = new Service(name);
    await new Promise<void>((resolve, reject) => {
      service.#server.once('error', reject).listen(port, ip, resolve);
    });
    return service;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A client's connection; `end` tells how it ended. */
export class Wire {
  readonly socket: Socket;
  readonly end: Promise<string>;
  #received = '';
  #onData: () => void = () => {};

  constructor(ip: string, port: number, localAddress?: string) {
    const from = localAddress === undefined ? {} : { localAddress };
    this.socket = connect({ host: ip, port, allowHalfOpen: true, ...from });
    this.socket.on('data', (data) => {
      this.#received += data.toString();
      this.#onData();
    });
    this.end = new Promise((resolve) => {
      this.socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      this.socket.on('end', () => resolve('end'));
      this.socket.on('close', () => resolve('closed'));
    });
  }

  get received(): string {
    return this.#received;
  }

  /** Sends, and waits until at least as much as `until` has come back in all. */
  async ask(text: string, until: string, withinMs = 2_000): Promise<string> {
    this.socket.write(text);
    return this.waitFor(until, withinMs);
  }

  async waitFor(until: string, withinMs = 2_000): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${until}, only ${this.#received}`)), withinMs);
      this.#onData = () => {
        if (!this.#received.includes(until)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onData();
    });
    return this.#received;
  }
}

export async function eventually(check: () => boolean, withinMs = 2_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!check()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
