/**
 * Role checks, metrics and the status page on `http.listen`, for load balancers, scripts, Prometheus and people. Plain HTTP
 * without authentication: it changes nothing, and says nothing but what `quorate status` says.
 *
 * 1. An answer is decided in the step that writes it: facts, decision and write are one turn of the event loop, whatever the
 *    request has waited for (T2). No question is taken while the answer to the one before it has not left.
 * 2. A yes that rests on the lease is never left in a buffer of ours: where the kernel does not take it at once, because the
 *    other side does not read, the connection is cut instead.
 * 3. Every connection, header and wait has a limit; no body is read.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { assertNever, InvariantError } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { exposition } from './exposition.ts';
import { type MetricFacts, metricsOf, type ProcessFacts } from './metrics.ts';
import { METHODS, PATHS, type Question, readQuestion } from './question.ts';
import { type Decision, decide } from './role-checks.ts';
import type { RoleFacts } from './role-facts.ts';
import {
  EventStream,
  MAX_READERS,
  type News,
  newsOf,
  SECURITY_HEADERS,
  type StatusFacts,
  type StatusPage,
} from './status-page/index.ts';

const MAX_CONNECTIONS = 256;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_HEADERS = 64;
/** For a whole request; none has a body. */
const REQUEST_LIMIT_MS = 5_000;
/** How often that is looked at. */
const CHECK_EVERY_MS = 1_000;
/** Longer than the idle time-outs of common load balancers (60 s), so that it is they who close, and no check meets a reset. */
const KEEP_ALIVE_MS = 75_000;

export interface RoleBackend {
  roleFacts(): RoleFacts;
  metricFacts(): MetricFacts;
  statusFacts(): StatusFacts;
  /** Called back in the step that changes something, until what it returns is called. */
  onChange(listener: () => void): () => void;
}

export interface HttpServerOptions {
  /** HOST:PORT, as the config has it. */
  readonly listen: string;
  readonly backend: RoleBackend;
  readonly process: ProcessFacts;
  /** Null where it was not built. */
  readonly page: StatusPage | null;
}

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #events: EventStream;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#events = new EventStream({
      read: () => this.#news(),
      onChange: (listener) => options.backend.onChange(listener),
    });
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: REQUEST_LIMIT_MS,
        requestTimeout: REQUEST_LIMIT_MS,
        connectionsCheckingInterval: CHECK_EVERY_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        // A check over HTTP/1.1 without one is common, and nothing here depends on it.
        requireHostHeader: false,
      },
      (request, response) => this.#onRequest(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.maxHeadersCount = MAX_HEADERS;
    // Full: who only keeps a connection makes room, so that the next check gets in.
    this.#server.on('drop', () => this.#server.closeIdleConnections());
  }

  /** Resolves with the port. Throws `port-in-use` or `address-not-available`. */
  async start(): Promise<number> {
    const { listen } = this.#options;
    await new Promise<void>((resolve, reject) => {
      // Also for later ones, which then reject nothing: no check is worth the agent's life.
      this.#server.on('error', (error: NodeJS.ErrnoException) => reject(listenError(error, listen)));
      this.#server.listen(splitAddress(listen), resolve);
    });
    // From the kernel's own mouth: it listens on a port, not on a path.
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#events.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = request;
    const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
    // Pipelined: the answer would wait in a queue of ours, and might have grown old by then. Nobody who checks roles does that.
    if (response.socket === null) return void request.socket.destroy();
    if (hasBody) response.setHeader('connection', 'close');
    const question = readQuestion(method, url);
    if (question.kind === 'refused') return refuse(method, response, question);
    if (hasBody)
      return respond(method, response, 413, { error: 'a question has no body', remedy: 'send none' });
    switch (question.kind) {
      case 'metrics':
        return this.#tellMetrics(method, response);
      case 'status':
        return this.#tellStatus(method, response);
      case 'events':
        return this.#stream(method, response);
      case 'page':
        return this.#tellPage(method, response, question.path, headers['if-none-match']);
      case 'check':
        return this.#answer(method, response, response.socket, question);
      default:
        return assertNever(question);
    }
  }

  #answer(
    method: string,
    response: ServerResponse,
    socket: Socket,
    question: Extract<Question, { kind: 'check' }>,
  ): void {
    let decision: Decision;
    try {
      decision = decide(question.check, this.#options.backend.roleFacts(), question.maxLag);
    } catch (error) {
      return unreadable(method, response, 'the role', error);
    }
    const { answer, isPerishable } = decision;
    respond(method, response, answer.ok ? 200 : 503, answer);
    if (isPerishable && socket.writableLength > 0) socket.resetAndDestroy();
  }

  #tellMetrics(method: string, response: ServerResponse): void {
    let text: string;
    try {
      text = exposition(metricsOf(this.#options.backend.metricFacts(), this.#options.process));
    } catch (error) {
      return unreadable(method, response, 'what is counted', error);
    }
    send(method, response, 200, 'text/plain; version=0.0.4; charset=utf-8', text);
  }

  #news(): News {
    return newsOf(this.#options.backend.statusFacts(), this.#options.process);
  }

  #tellStatus(method: string, response: ServerResponse): void {
    let news: News;
    try {
      news = this.#news();
    } catch (error) {
      return unreadable(method, response, 'the status', error);
    }
    respond(method, response, 200, { ...news.state, pulse: news.pulse }, SECURITY_HEADERS);
  }

  /** Only GET looks; the others learn whether there is room. */
  #stream(method: string, response: ServerResponse): void {
    if (this.#events.isFull) {
      response.setHeader('retry-after', '10');
      const error = `${MAX_READERS} look already`;
      return respond(method, response, 503, { error, remedy: 'ask another node, or /status.json' });
    }
    if (method === 'OPTIONS') response.setHeader('allow', METHODS.join(', '));
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      ...SECURITY_HEADERS,
    });
    if (method === 'GET') this.#events.add(response);
    else response.end();
  }

  #tellPage(method: string, response: ServerResponse, path: string, known: string | undefined): void {
    const asset = this.#options.page?.get(path);
    if (asset === undefined) {
      const remedy = 'run "npm run build" where the program is, and start the agent again';
      return respond(method, response, 503, { error: 'the status page was not built', remedy });
    }
    // Asked for anew each time, and sent only where it has changed: the page of an older agent must not meet a newer one.
    const headers = { ...SECURITY_HEADERS, 'cache-control': 'no-cache', etag: asset.etag };
    const isKnown = known?.split(',').some((one) => one.trim().replace(/^W\//, '') === asset.etag) === true;
    if (isKnown && method !== 'OPTIONS') response.writeHead(304, headers).end();
    else send(method, response, 200, asset.type, asset.body, headers);
  }
}

function unreadable(method: string, response: ServerResponse, what: string, error: unknown): void {
  // A broken invariant must end the process (style 5), not become an answer.
  if (error instanceof InvariantError) throw error;
  respond(method, response, 503, { error: `${what} cannot be read: ${String(error)}`, remedy: 'report it' });
}

function refuse(
  method: string,
  response: ServerResponse,
  question: Extract<Question, { kind: 'refused' }>,
): void {
  const { status, error, remedy } = question;
  if (status === 405) response.setHeader('allow', METHODS.join(', '));
  respond(method, response, status, { error, remedy, ...(status === 404 ? { paths: PATHS } : {}) });
}

function respond(
  method: string,
  response: ServerResponse,
  status: number,
  document: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `${JSON.stringify(document)}\n`;
  send(method, response, status, 'application/json; charset=utf-8', body, headers);
}

function send(
  method: string,
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (method === 'OPTIONS') response.setHeader('allow', METHODS.join(', '));
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(method === 'HEAD' ? undefined : body);
}

/** HOST:PORT or [HOST]:PORT; the config has checked it. */
function splitAddress(listen: string): { host: string; port: number } {
  const at = listen.lastIndexOf(':');
  return { host: listen.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(listen.slice(at + 1)) };
}

function listenError(cause: NodeJS.ErrnoException, listen: string): QuorateError {
  return cause.code === 'EADDRINUSE'
    ? new QuorateError('port-in-use', `http.listen ${listen} is in use`, { cause })
    : new QuorateError('address-not-available', `cannot listen on http.listen ${listen}: ${cause.message}`, {
        cause,
      });
}
