/**
 * The Query endpoint of EC2 and of ELB: one HTTP request in, one XML document (or a fault) out.
 *
 * The AWS signature is parsed for its access key and region, which permissions and history need. It is NOT
 * verified: this controller knows no secret keys, and whoever reaches its loopback address may claim any key.
 *
 * 1. What happens to a call is decided when it arrives (faults.ts); it takes effect at one instant, in one turn of
 *    the event loop; then the reply goes out or not. A client that goes away recalls nothing.
 * 2. A request from an address whose interface is dead never arrives, and its reply never gets back: nodes talk to
 *    the controller through port 2, and a cut port 2 cuts that too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Call, DRY_RUN } from './actions/index.ts';
import { dryRunSucceeded, Ec2Error } from './ec2-error.ts';
import type { Decision, FaultControl } from './faults.ts';
import type { CallHistory, CallRecord } from './history.ts';
import { Query } from './query.ts';
import { type QueryService, serviceOf } from './services.ts';
import { interfaceWithIp, isLive } from './world.ts';

export interface EndpointOptions {
  readonly faults: FaultControl;
  readonly history: CallHistory;
  readonly call: Omit<Call, 'query' | 'view'>;
  readonly accessKeys: Readonly<Record<string, { readonly allow: readonly string[] }>> | null;
  readonly newRequestId: () => string;
  readonly now: () => number;
  /** Aborted when the controller stops: calls that wait are dropped. */
  readonly signal: AbortSignal;
  readonly onProblem: (event: string, detail: Record<string, unknown>) => void;
}

interface Identity {
  readonly accessKey: string;
  readonly region: string;
}

/** One call on its way. */
interface Arrived {
  readonly service: QueryService;
  readonly query: Query | Ec2Error;
  readonly decision: Decision;
  readonly identity: Identity | null;
  readonly record: CallRecord;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly code: string;
}

const XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const MAX_CLIENTS_REMEMBERED = 1_000;

export class Ec2Endpoint {
  readonly #options: EndpointOptions;
  /** For read-your-writes: when each client last changed something. */
  readonly #lastWriteMs = new Map<string, number>();

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  async serve(request: IncomingMessage, response: ServerResponse, form: URLSearchParams): Promise<void> {
    const { history, faults, now, newRequestId } = this.#options;
    const service = serviceOf(form);
    const identity = parseIdentity(request, service);
    const source = request.socket.remoteAddress ?? '';
    const query = parseQuery(form);
    const record = history.begin({
      requestId: newRequestId(),
      at: new Date().toISOString(),
      arrivedMs: now(),
      source,
      sourcePort: request.socket.remotePort ?? 0,
      service: service.name,
      action: query instanceof Query ? query.action : null,
      params: query instanceof Query ? query.parameters : {},
      accessKey: identity?.accessKey ?? null,
      region: identity?.region ?? null,
      invocationId: header(request, 'amz-sdk-invocation-id'),
      attempt: header(request, 'amz-sdk-request'),
    });
    response.once('close', () => {
      if (record.reply === 'pending') record.reply = 'client-gone';
      record.ms ??= now() - record.arrivedMs;
    });
    const decision = faults.decide({
      action: record.action ?? '',
      source,
      accessKey: record.accessKey,
      nowMs: record.arrivedMs,
    });
    record.faults = decision.faults;
    if (decision.unreachable !== null) return this.#lose(response, record, decision.unreachable);
    if (!this.#isReachable(source)) return this.#lose(response, record, 'silence', 'dead-link');
    if (!(await this.#wait(decision.delayBeforeMs))) return;
    const reply = this.#execute({ service, query, decision, identity, record });
    if (!(await this.#wait(decision.delayAfterMs))) return;
    if (!this.#isReachable(source)) return this.#lose(response, record, 'silence', 'dead-link');
    if (decision.lostReply !== null) return this.#lose(response, record, decision.lostReply);
    this.#send(response, record, reply);
  }

  #execute(arrived: Arrived): Reply {
    const { service, query, decision, record } = arrived;
    let reply: Reply;
    try {
      if (decision.isThrottled) throw service.throttled();
      if (query instanceof Ec2Error) throw query;
      reply = this.#run(query, arrived);
    } catch (error) {
      const known = this.#asEc2Error(error, record);
      const body = XML_HEAD + service.renderError(known, record.requestId);
      reply = { status: known.status, body, code: known.code };
    }
    record.result = reply.code;
    record.status = reply.status;
    return reply;
  }

  #run(query: Query, { service, decision, identity, record }: Arrived): Reply {
    const { call, now } = this.#options;
    const action = service.actions.get(query.action);
    if (action === undefined) {
      throw new Ec2Error('InvalidAction', `The action ${query.action} is not valid for this web service.`);
    }
    if (identity === null) throw service.authFailure();
    this.#authorise(service, query.action, identity.accessKey);
    query.check(action.parameters);
    if (decision.isUnauthorized) throw service.unauthorized(query.action);
    const { error } = decision;
    if (error !== null && !error.executed) throw new Ec2Error(error.code, error.message, error.status);
    if (action.parameters.includes(DRY_RUN) && query.flag(DRY_RUN) === true) throw dryRunSucceeded();
    const client = `${record.source} ${identity.accessKey}`;
    const before = call.store.current;
    const view = call.store.at(this.#viewInstant(client, decision));
    const content = action.run({ ...call, query, view });
    record.executedMs = now();
    if (call.store.current !== before) this.#remember(client);
    if (error !== null) throw new Ec2Error(error.code, error.message, error.status);
    const body = service.render(query.action, query.required('Version'), content, record.requestId);
    return { status: 200, body: XML_HEAD + body, code: 'ok' };
  }

  #authorise(service: QueryService, action: string, accessKey: string): void {
    const { accessKeys } = this.#options;
    if (accessKeys === null) return;
    const allow = Object.hasOwn(accessKeys, accessKey) ? accessKeys[accessKey]?.allow : undefined;
    if (allow === undefined) throw service.authFailure();
    const isAllowed = allow.some((one) =>
      one.endsWith('*') ? action.startsWith(one.slice(0, -1)) : one === action,
    );
    if (!isAllowed) throw service.unauthorized(action);
  }

  #viewInstant(client: string, decision: Decision): number {
    const instant = this.#options.now() - decision.viewDelayMs;
    if (decision.viewDelayMs === 0 || !this.#options.faults.get().visibility.readYourWrites) return instant;
    return Math.max(instant, this.#lastWriteMs.get(client) ?? instant);
  }

  #remember(client: string): void {
    this.#lastWriteMs.delete(client);
    this.#lastWriteMs.set(client, this.#options.now());
    const [oldest] = this.#lastWriteMs.keys();
    if (oldest !== undefined && this.#lastWriteMs.size > MAX_CLIENTS_REMEMBERED)
      this.#lastWriteMs.delete(oldest);
  }

  #isReachable(source: string): boolean {
    const world = this.#options.call.store.current;
    const one = interfaceWithIp(world, source);
    return one === null || isLive(world, one);
  }

  /** False when the controller stopped meanwhile. */
  async #wait(ms: number): Promise<boolean> {
    const { signal } = this.#options;
    if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {});
    return !signal.aborted;
  }

  #lose(
    response: ServerResponse,
    record: CallRecord,
    how: 'reset' | 'silence' | 'blackhole',
    why?: string,
  ): void {
    if (why !== undefined) record.faults = [...record.faults, why];
    if (record.reply === 'client-gone') return;
    record.reply = how === 'reset' ? 'reset' : 'silence';
    if (how === 'reset') response.socket?.resetAndDestroy();
  }

  #send(response: ServerResponse, record: CallRecord, reply: Reply): void {
    if (record.reply === 'client-gone' || response.destroyed) return;
    response.writeHead(reply.status, {
      'content-type': 'text/xml;charset=UTF-8',
      'x-amzn-requestid': record.requestId,
      'cache-control': 'no-cache, no-store',
    });
    record.reply = 'sent';
    record.ms = this.#options.now() - record.arrivedMs;
    response.end(reply.body);
  }

  #asEc2Error(error: unknown, record: CallRecord): Ec2Error {
    if (error instanceof Ec2Error) return error;
    this.#options.onProblem('action-failed', {
      action: record.action,
      requestId: record.requestId,
      error: String(error),
    });
    return new Ec2Error('InternalError', 'An internal error has occurred', 500);
  }
}

function parseQuery(form: URLSearchParams): Query | Ec2Error {
  try {
    return new Query(form);
  } catch (error) {
    if (error instanceof Ec2Error) return error;
    throw error;
  }
}

/**
 * `AWS4-HMAC-SHA256 Credential=KEY/20261123/eu-west-1/ec2/aws4_request, SignedHeaders=…, Signature=…`; a signature for
 * another service is none.
 */
function parseIdentity(request: IncomingMessage, service: QueryService): Identity | null {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([\w.-]{1,128})\/\d{8}\/([\w-]{1,64})\/(ec2|elasticloadbalancing)\/aws4_request,\s*SignedHeaders=[^,]+,\s*Signature=\w+$/.exec(
      request.headers.authorization ?? '',
    );
  const [, accessKey, region, scope] = match ?? [];
  return accessKey === undefined || region === undefined || scope !== service.name
    ? null
    : { accessKey, region };
}

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' ? value.slice(0, 256) : null;
}
