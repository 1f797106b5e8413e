/** The admin service on `admin.listen`: mutual TLS, one handler per request, errors with their code. */
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { type Entry, InvariantError, logIndex, type NodeId, nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Tap } from '../inspect/index.ts';
import type { TlsMaterial } from '../peer/index.ts';
import { type AdminCall, authorise, describeCaller } from './authorise.ts';
import type { AdminBackend } from './backend.ts';
import { toStatus } from './errors.ts';
import { inspectHandlers } from './inspect.ts';
import {
  adminService,
  type WireBootstrapRequest,
  type WireEntriesPage,
  type WireEntry,
  type WireFailoverRequest,
  type WireSwitchoverRequest,
} from './proto.ts';

const PAGE_ENTRIES = 500;
/** Far under gRPC's limit of 4 MiB a message; one entry is at most 64 KiB. */
const PAGE_BYTES = 1024 * 1024;
const CLOSE_TIMEOUT_MS = 500;

export interface AdminServerOptions {
  readonly listen: string;
  readonly cluster: string;
  readonly tls: TlsMaterial;
  readonly backend: AdminBackend;
  /** What `Inspect` looks at; without it there is no `Inspect`. */
  readonly tap?: Tap;
}

interface AuthenticatedCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Uint8Array } };
}

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #server = new Server({ 'grpc.max_receive_message_length': 64 * 1024 });

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#server.addService(adminService(), {
      Status: this.#unary('Status', () => withoutNulls(this.#backend.status())),
      AuditEntries: (call: ServerWritableStream<{ from: number }, WireEntriesPage>) =>
        void this.#streamEntries(call),
      Switchover: this.#unary('Switchover', async (request: WireSwitchoverRequest, who) =>
        withoutNulls(
          await this.#backend.switchover({
            to: optionalNode(request.to),
            dryRun: request.dryRun,
            who: who(request.who),
          }),
        ),
      ),
      Failover: this.#unary('Failover', async (request: WireFailoverRequest, who) =>
        withoutNulls(
          await this.#backend.failover({
            to: requiredNode(request.to),
            dryRun: request.dryRun,
            acceptDataLoss: request.acceptDataLoss,
            why: request.why,
            who: who(request.who),
          }),
        ),
      ),
      Bootstrap: this.#unary('Bootstrap', async (request: WireBootstrapRequest, who) => {
        await this.#backend.bootstrap({ inSync: request.inSync.map(requiredNode), who: who(request.who) });
        return {};
      }),
      FencePeer: this.#unary('FencePeer', async (request: { peer: string }) => ({
        result: await this.#backend.fencePeer(optionalNode(request.peer)),
      })),
      ...inspectHandlers(options.tap, (call) => this.#authorise(call, 'Inspect')),
    });
  }

  get #backend(): AdminBackend {
    return this.#options.backend;
  }

  /** Resolves with the port. Throws `port-in-use` or `address-not-available`. */
  async start(): Promise<number> {
    const { ca, cert, key } = this.#options.tls;
    const credentials = ServerCredentials.createSsl(
      Buffer.from(ca),
      [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }],
      true,
    );
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(this.#options.listen, credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(listenError(error, this.#options.listen));
      });
    });
  }

  /** Lets running requests end, then cuts them. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, CLOSE_TIMEOUT_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #authorise(call: AuthenticatedCall, name: AdminCall): (claimed: string) => string {
    const certificate = call.getAuthContext().sslPeerCertificate?.raw;
    const identity = authorise(certificate, this.#options.cluster, name);
    return (claimed) => describeCaller(identity, claimed);
  }

  #unary<Request, Response>(
    name: AdminCall,
    handle: (request: Request, who: (claimed: string) => string) => Response | Promise<Response>,
  ) {
    return async (
      call: ServerUnaryCall<Request, Response>,
      callback: sendUnaryData<Response>,
    ): Promise<void> => {
      try {
        callback(null, await handle(call.request, this.#authorise(call, name)));
      } catch (error) {
        passOnInvariant(error);
        callback(toStatus(error));
      }
    };
  }

  /** Committed entries only: what is not committed may still be replaced. */
  async #streamEntries(call: ServerWritableStream<{ from: number }, WireEntriesPage>): Promise<void> {
    try {
      this.#authorise(call, 'AuditEntries');
      let next = Math.max(1, call.request.from);
      const { commitIndex } = this.#backend.entries(logIndex(next), 0);
      while (next <= commitIndex && !call.cancelled) {
        const entries = onePage(
          this.#backend.entries(logIndex(next), Math.min(PAGE_ENTRIES, commitIndex - next + 1)).entries,
        );
        if (entries.length === 0) break;
        next += entries.length;
        if (!call.write({ entries, commitIndex })) await drained(call);
      }
      call.end();
    } catch (error) {
      passOnInvariant(error);
      call.emit('error', toStatus(error));
    }
  }
}

async function drained(call: ServerWritableStream<unknown, unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    call.once('drain', resolve);
    call.once('cancelled', resolve);
  });
}

/** As many of the first entries as fit into one page, at least one. */
function onePage(entries: readonly Entry[]): WireEntry[] {
  const page: WireEntry[] = [];
  let bytes = 0;
  for (const { index, term, previous, hash, body } of entries) {
    const text = JSON.stringify(body);
    bytes += text.length + 200;
    if (page.length > 0 && bytes > PAGE_BYTES) break;
    page.push({ index, term, previous, hash, body: text });
  }
  return page;
}

/** A broken invariant must end the process (style 5), not become an answer. */
function passOnInvariant(error: unknown): void {
  if (error instanceof InvariantError)
    setImmediate(() => {
      throw error;
    });
}

function requiredNode(value: string): NodeId {
  try {
    return nodeId(value);
  } catch (error) {
    throw new QuorateError('usage', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

const optionalNode = (value: string): NodeId | null => (value === '' ? null : requiredNode(value));

/** Protobuf has no null: what is null is left out. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null && field !== undefined)
      .map(([key, field]) => [key, withoutNulls(field)]),
  );
}

function listenError(cause: Error, listen: string): QuorateError {
  if (/EADDRINUSE/.test(cause.message))
    return new QuorateError('port-in-use', `admin.listen ${listen} is in use`, { cause });
  return new QuorateError(
    'address-not-available',
    `cannot listen on admin.listen ${listen}: ${cause.message}`,
    {
      cause,
    },
  );
}
