/**
 * How calls leave through a client of the AWS SDK; the same for EC2 and ELB.
 *
 * 1. Two clients: reads may be tried twice; a mutation once (O2), because a late retry of the SDK would steal the
 *    address back. Whether a mutation is still allowed is asked before it is built (`gatedEc2`), and here again after
 *    signing, right before the request leaves.
 * 2. Both share credentials, sockets and the local address that calls leave from (`via`), so that what a read has
 *    resolved, loaded and opened is there for the first mutation of a takeover.
 * 3. A read whose local address is not on this host leaves from wherever the system likes: an idle node's second port
 *    is down, but its client must be warm, and its reads are how it knows that the cloud answers. A mutation never does.
 * 4. Every call ends with its signal and its time, also while credentials are resolved, which the SDK waits for whatever
 *    it was told (`credential_process` and the metadata service take seconds). What was given up before it was signed is
 *    refused at the same gate when it comes there at last.
 * 5. A reading that is not answered in 300 ms is asked once more beside the first, and whichever answers counts: both began after the
 *    question, and nothing is executed by them. Never a mutation (O2), and not what warms up, which is late by itself.
 * 6. A rehearsal goes the whole way of a mutation, signing and the reading of the answer included, and ends in front
 *    of the socket.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type CloudWatch, type MiddlewareStack, watchCalls } from './cloud-watch.ts';
import { type Ec2CallOptions, Ec2Failure } from './ec2.ts';
import { localAddressOf } from './local-address.ts';
import { calledOff, isNotFromHere, outOfTime, translated } from './sdk-failure.ts';

const CONNECT_TIMEOUT_MS = 500;
const MUTATE_TIMEOUT_MS = 2000;
const READ_TIMEOUT_MS = 1000;
/** A describe takes 30 to 100 ms; a lost answer would otherwise cost the whole second. */
const SECOND_READ_MS = 300;
const MAX_SOCKETS = 8;

export interface CloudClientOptions {
  readonly region: string | null;
  readonly endpoint: string | null;
  /** The address of this node that calls leave from (`via`), or an interface of it; null means the system's choice. */
  readonly localAddress: string | null;
  /** True only while epoch and lease are valid (O2). */
  readonly mayMutate: () => boolean;
  /** Told of every call while somebody looks. */
  readonly watch?: CloudWatch;
}

/** The first call loads and compiles, the second finds the socket that the first one opened. */
export const WARM_READS = 2;

export interface WarmReport {
  /** The last reading was answered: credentials, permission and the way to the endpoint are there. */
  readonly hasRead: boolean;
  /** The first mutation of a takeover will not be a first call. */
  readonly hasRehearsed: boolean;
}

/** What a client of the SDK takes for one call. */
export interface SdkCallOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

type Credentials = () => Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }>;

/** What a request is answered in front of the socket, and how far it came. */
interface Rehearsal {
  readonly answer: string;
  isSigned: boolean;
}

/** What the gate knows of the call that a request belongs to. */
interface PendingCall {
  isGivenUp: boolean;
  /** Handed to the socket: whether it was executed is not known any more. */
  hasLeft: boolean;
}

interface SignedRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
}

interface Agents {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
}

export interface SdkConfig {
  region?: string;
  endpoint?: string;
  credentials?: Credentials;
  maxAttempts: number;
  requestHandler: {
    connectionTimeout: number;
    requestTimeout: number;
    throwOnRequestTimeout: boolean;
  } & Agents;
}

/** As much of a client of the SDK as we touch. */
export interface SdkClient {
  readonly config: { readonly credentials: Credentials };
  readonly middlewareStack: MiddlewareStack;
  destroy(): void;
}

export class SdkCalls<Client extends SdkClient> {
  readonly #agents: Agents[] = [];
  readonly #read: Client;
  /** Null where calls leave from the system's choice anyway. */
  readonly #readFromAnywhere: Client | null;
  readonly #mutate: Client;
  readonly #mayMutate: () => boolean;
  readonly #rehearsals = new WeakMap<object, Rehearsal>();
  readonly #pending = new AsyncLocalStorage<PendingCall>();

  constructor(make: (config: SdkConfig) => Client, options: CloudClientOptions) {
    const { localAddress } = options;
    const agents = this.#makeAgents(localAddress);
    this.#mayMutate = options.mayMutate;
    this.#read = make(sdkConfig(options, 2, READ_TIMEOUT_MS, agents));
    // The provider remembers: whoever asks first resolves them for all.
    const { credentials } = this.#read.config;
    this.#readFromAnywhere =
      localAddress === null
        ? null
        : make({ ...sdkConfig(options, 2, READ_TIMEOUT_MS, this.#makeAgents(null)), credentials });
    this.#mutate = make({ ...sdkConfig(options, 1, MUTATE_TIMEOUT_MS, agents), credentials });
    this.#mutate.middlewareStack.add(
      (next) => async (args: { input: object; request: SignedRequest }) => {
        const rehearsal = this.#rehearsals.get(args.input);
        if (rehearsal !== undefined) {
          rehearsal.isSigned = args.request.headers.authorization !== undefined;
          return { response: httpAnswer(rehearsal.answer) };
        }
        const pending = this.#pending.getStore();
        if (pending === undefined || pending.isGivenUp)
          throw new Ec2Failure('aborted', 'GivenUp', 'nobody waits for this call any more');
        if (!this.#mayMutate()) throw new Ec2Failure('aborted', 'LeaseEnded', 'the lease is over (O2)');
        pending.hasLeft = true;
        return next(args);
      },
      { step: 'deserialize', priority: 'low', name: 'leaseGate' },
    );
    const { watch } = options;
    if (watch === undefined) return;
    for (const client of [this.#read, this.#readFromAnywhere, this.#mutate])
      if (client !== null) watchCalls(client.middlewareStack, watch);
  }

  /** Those that sign; resolved by whoever asks first. */
  credentials(): ReturnType<Credentials> {
    return this.#read.config.credentials();
  }

  /** For what changes nothing: reads, and mutations with DryRun. */
  read<Answer>(
    call: (client: Client, how: SdkCallOptions) => Promise<Answer>,
    options: Ec2CallOptions,
  ): Promise<Answer> {
    const elsewhere = this.#readFromAnywhere;
    // Nothing is executed by it; but a time-out is no proof that nothing leads there.
    const ask = async (how: SdkCallOptions): Promise<Answer> => {
      try {
        return await translated(() => call(this.#read, how));
      } catch (error) {
        if (elsewhere === null || !(error instanceof Ec2Failure) || !isNotFromHere(error)) throw error;
        return await translated(() => call(elsewhere, how));
      }
    };
    return this.#bounded({ isGivenUp: false, hasLeft: true }, options, (how) =>
      options.isPatient === true ? ask(how) : askTwice(ask, how),
    );
  }

  mutate<Answer>(
    call: (client: Client, how: SdkCallOptions) => Promise<Answer>,
    options: Ec2CallOptions,
  ): Promise<Answer> {
    const pending = { isGivenUp: false, hasLeft: false };
    return this.#bounded(pending, options, (how) => translated(() => call(this.#mutate, how)));
  }

  async #bounded<Answer>(
    pending: PendingCall,
    options: Ec2CallOptions,
    act: (how: SdkCallOptions) => Promise<Answer>,
  ): Promise<Answer> {
    const ending = new AbortController();
    let reject: (failure: Ec2Failure) => void = () => undefined;
    const over = new Promise<never>((_, fail) => {
      reject = fail;
    });
    const giveUp = (failure: Ec2Failure): void => {
      pending.isGivenUp = true;
      reject(failure);
      ending.abort();
    };
    const onAbort = (): void => giveUp(calledOff());
    const how = callOptions(options, ending.signal);
    const timer = setTimeout(() => giveUp(outOfTime(pending, how.requestTimeout)), how.requestTimeout);
    options.signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (options.signal.aborted) throw calledOff();
      return await Promise.race([over, this.#pending.run(pending, () => act(how))]);
    } finally {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * `input` is the very object that the command is made of; `answer` the XML that it gets. True when the request came
   * as far as the socket, written and signed, and the answer was read.
   */
  async rehearse(
    input: object,
    answer: string,
    call: (client: Client, how: SdkCallOptions) => Promise<unknown>,
    options: Ec2CallOptions,
  ): Promise<boolean> {
    const rehearsal: Rehearsal = { answer, isSigned: false };
    this.#rehearsals.set(input, rehearsal);
    await this.mutate(call, options);
    return rehearsal.isSigned;
  }

  close(): void {
    for (const client of [this.#read, this.#readFromAnywhere, this.#mutate]) client?.destroy();
    for (const { httpAgent, httpsAgent } of this.#agents) {
      httpAgent.destroy();
      httpsAgent.destroy();
    }
  }

  #makeAgents(localAddress: string | null): Agents {
    const how = { keepAlive: true, maxSockets: MAX_SOCKETS };
    const agents = { httpAgent: new HttpAgent(how), httpsAgent: new HttpsAgent(how) };
    if (localAddress !== null) for (const agent of Object.values(agents)) leaveBy(localAddress, agent);
    this.#agents.push(agents);
    return agents;
  }
}

/** Looked up for each connection: the port of a standby is down, and has its address only once it is taken. */
function leaveBy(via: string, agent: HttpAgent): void {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const localAddress = localAddressOf(via);
    if (localAddress !== null) return connect({ ...options, localAddress }, callback);
    const error = Object.assign(new Error(`${via} is down, or has no address`), { code: 'EADDRNOTAVAIL' });
    callback?.(error, undefined as never);
    return undefined;
  };
}

/** The second only where the first is late; a refusal that comes in time is the answer. Rejects as the first that failed. */
function askTwice<Answer>(
  ask: (how: SdkCallOptions) => Promise<Answer>,
  { abortSignal, requestTimeout }: SdkCallOptions,
): Promise<Answer> {
  const decided = new AbortController();
  const how = { abortSignal: AbortSignal.any([abortSignal, decided.signal]), requestTimeout };
  let timer: NodeJS.Timeout | undefined;
  const answer = new Promise<Answer>((resolve, reject) => {
    let open = 0;
    let first: { readonly error: unknown } | null = null;
    const start = (): void => {
      open += 1;
      ask(how).then(resolve, (error: unknown) => {
        open -= 1;
        first ??= { error };
        if (open === 0) reject(first.error);
      });
    };
    start();
    timer = setTimeout(start, SECOND_READ_MS);
  });
  return answer.finally(() => {
    clearTimeout(timer);
    decided.abort();
  });
}

function sdkConfig(
  options: CloudClientOptions,
  maxAttempts: number,
  requestTimeout: number,
  agents: Agents,
): SdkConfig {
  return {
    ...(options.region === null ? {} : { region: options.region }),
    ...(options.endpoint === null ? {} : { endpoint: options.endpoint }),
    maxAttempts,
    // Without throwOnRequestTimeout a time-out is only logged (ec2.md).
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout,
      throwOnRequestTimeout: true,
      ...agents,
    },
  };
}

function callOptions(options: Ec2CallOptions, abortSignal: AbortSignal): SdkCallOptions {
  return { abortSignal, requestTimeout: Math.max(1, Math.ceil(options.timeoutMs)) };
}

function httpAnswer(body: string) {
  return { statusCode: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(body) };
}
