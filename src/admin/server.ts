/** The admin service on `admin.listen`: mutual TLS, one handler per request, errors with their code. */

import type { TLSSocket } from 'node:tls';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type Entry, InvariantError, logIndex, type NodeId, nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Tap } from '../inspect/index.ts';
import { type Identity, identityUri, type TlsMaterial } from '../peer/index.ts';
import { Admission, type CallKind } from './admission.ts';
import { type AdminCall, authorise, describeCaller, LEAST_ROLE } from './authorise.ts';
import type { AdminBackend, MovingOrder } from './backend.ts';
import { drained } from './drained.ts';
import { toStatus } from './errors.ts';
import { inspectHandlers } from './inspect.ts';
import { type LastingCall, LastingCalls } from './lasting-calls.ts';
import { AdminListener } from './listener.ts';
import { addMemberOrder, memberOrder, settingsOrder } from './member-handlers.ts';
import {
  adminService,
  type WireAddMemberRequest,
  type WireAllowDropRequest,
  type WireBootstrapRequest,
  type WireCancelRequest,
  type WireEntriesPage,
  type WireEntry,
  type WireFailoverRequest,
  type WireMemberRequest,
  type WireOrder,
  type WirePauseRequest,
  type WireRestartRequest,
  type WireScheduleRequest,
  type WireSettingsRequest,
  type WireStandbyRequest,
  type WireSwitchoverRequest,
} from './proto.ts';
import { limitQuestions } from './reflection-limit.ts';
import { scheduleOrder } from './schedule-handlers.ts';
import type { Health } from './standard-services.ts';
import { StatusFeed, type WatchCall } from './watch.ts';

const PAGE_ENTRIES = 500;
/** Far under gRPC's limit of 4 MiB a message; one entry is at most 64 KiB. */
const PAGE_BYTES = 1024 * 1024;
const CLOSE_TIMEOUT_MS = 500;

/** Frames and headers that are larger end their call. */
const CHANNEL_LIMITS = {
  'grpc.max_receive_message_length': 64 * 1024,
  'grpc.max_metadata_size': 8 * 1024,
  /** Of one connection, at a time; more wait. */
  'grpc.max_concurrent_streams': 32,
  /** Without a call for so long a connection is closed; one whose other end is gone is found by a ping. */
  'grpc.max_connection_idle_ms': 300_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
} as const;

export interface AdminServerOptions {
  readonly listen: string;
  readonly cluster: string;
  readonly tls: TlsMaterial;
  readonly backend: AdminBackend;
  /** For `grpc.health.v1`: agent, log and executor work. */
  readonly isWell: () => boolean;
  /** What `Inspect` looks at; without it there is no `Inspect`. */
  readonly tap?: Tap;
  /** What `AlertsTest` tests; without it nobody is told. */
  readonly alerts?: { test(): Promise<readonly object[]> };
}

interface AuthenticatedCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Uint8Array } };
}

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #server = new Server(CHANNEL_LIMITS);
  readonly #listener: AdminListener;
  readonly #admission = new Admission(() => performance.now());
  #health: Health | null = null;
  readonly #feed: StatusFeed;
  readonly #lasting: LastingCalls;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    const { listen, tls, backend } = options;
    this.#feed = new StatusFeed(backend, (status) => withoutNulls(status) as object);
    this.#lasting = new LastingCalls((listener) => backend.onChange(listener));
    // TLS ends at the listener; gRPC finds the certificate at the socket.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const onConnection = (socket: TLSSocket): void => injector.injectConnection(socket);
    this.#listener = new AdminListener({ listen, tls, onConnection });
    this.#server.addService(adminService(), {
      Status: this.#unary('Status', () => withoutNulls(this.#backend.status())),
      WatchStatus: (call: WatchCall) => this.#watch(call),
      Replication: this.#unary('Replication', () => withoutNulls(this.#backend.replication())),
      RunReplication: this.#unary('RunReplication', ({ dataset }: { dataset: string }, who) =>
        this.#backend.runReplication(dataset === '' ? null : dataset, who('')),
      ),
      AllowDrop: this.#unary(
        'AllowDrop',
        ({ node, datasets, why, who: claimed }: WireAllowDropRequest, who) =>
          this.#backend.allowDrop({ node: requiredNode(node), datasets, why, who: who(claimed) }),
      ),
      AuditEntries: (call: ServerWritableStream<{ from: number }, WireEntriesPage>) =>
        void this.#streamEntries(call),
      Switchover: this.#order('Switchover', ({ to, dryRun }: WireSwitchoverRequest, order) =>
        this.#backend.switchover({ ...order, to: optionalNode(to), dryRun }),
      ),
      ScheduleSwitchover: this.#order('ScheduleSwitchover', (request: WireScheduleRequest, order) =>
        this.#backend.scheduleSwitchover(scheduleOrder(request, optionalNode(request.to), order)),
      ),
      CancelSwitchover: this.#order('CancelSwitchover', ({ id, why }: WireCancelRequest, order) =>
        this.#backend.cancelSwitchover({ ...order, id: id ?? null, why }),
      ),
      Failover: this.#order('Failover', (request: WireFailoverRequest, order) => {
        const { dryRun, acceptDataLoss, why } = request;
        return this.#backend.failover({
          ...order,
          to: requiredNode(request.to),
          dryRun,
          acceptDataLoss,
          why,
        });
      }),
      Pause: this.#order('Pause', ({ why }: WirePauseRequest, order) =>
        this.#backend.pause({ ...order, why }),
      ),
      Resume: this.#order('Resume', ({ why }: WirePauseRequest, order) =>
        this.#backend.resume({ ...order, why }),
      ),
      Standby: this.#order('Standby', ({ node, why }: WireStandbyRequest, order) =>
        this.#backend.standby({ ...order, node: requiredNode(node), why }),
      ),
      Activate: this.#order('Activate', ({ node, why }: WireStandbyRequest, order) =>
        this.#backend.activate({ ...order, node: requiredNode(node), why }),
      ),
      Restart: this.#order('Restart', ({ withinMs, dryRun }: WireRestartRequest, order) =>
        this.#backend.restart({ ...order, withinMs: withinMs ?? null, dryRun }),
      ),
      Bootstrap: this.#unary('Bootstrap', async (request: WireBootstrapRequest, who) => {
        await this.#backend.bootstrap({ inSync: request.inSync.map(requiredNode), who: who(request.who) });
        return {};
      }),
      FencePeer: this.#unary('FencePeer', async (request: { peer: string }, who) => ({
        result: await this.#backend.fencePeer(optionalNode(request.peer), who('')),
      })),
      AlertsTest: this.#unary('AlertsTest', async () => {
        if (options.alerts === undefined)
          throw new QuorateError('alerts-off', 'the config of this node has no "alerts"');
        return { results: await options.alerts.test() };
      }),
      ListMembers: this.#unary('ListMembers', () => withoutNulls(this.#backend.members())),
      AddMember: this.#order('AddMember', (request: WireAddMemberRequest, order) =>
        this.#backend.addMember(addMemberOrder(request, order)),
      ),
      PromoteMember: this.#order('PromoteMember', (request: WireMemberRequest, order) =>
        this.#backend.promoteMember(memberOrder(request, order)),
      ),
      RemoveMember: this.#order('RemoveMember', (request: WireMemberRequest, order) =>
        this.#backend.removeMember(memberOrder(request, order)),
      ),
      ShowSettings: this.#unary('ShowSettings', () => withoutNulls(this.#backend.settings())),
      SetSettings: this.#order('SetSettings', (request: WireSettingsRequest, order) =>
        this.#backend.setSettings(settingsOrder(request, order)),
      ),
      ...inspectHandlers(options.tap, (call) => this.#admitLasting(call, 'Inspect').leave),
    });
  }

  get #backend(): AdminBackend {
    return this.#options.backend;
  }

  /** Resolves with the port. Throws `port-in-use` or `address-not-available`. */
  async start(): Promise<number> {
    const { healthServices, reflectionServices } = await import('./standard-services.ts');
    this.#health = healthServices(this.#options.isWell);
    for (const [definition, implementation] of this.#health.services)
      this.#server.addService(definition, this.#guarded('Health', implementation));
    for (const [definition, implementation] of reflectionServices())
      this.#server.addService(definition, this.#guarded('Reflection', implementation));
    return this.#listener.start();
  }

  /** For connections from now on; those that are open stay. */
  replaceTls(tls: TlsMaterial): void {
    this.#listener.replaceTls(tls);
  }

  /** Lets running requests end, then cuts them. */
  async close(): Promise<void> {
    this.#health?.end();
    this.#feed.end();
    const stopped = this.#listener.stop();
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
    this.#listener.cut();
    await stopped;
  }

  /** @throws QuorateError `not-authorised` or `too-many-requests` */
  #admit(call: AuthenticatedCall, name: AdminCall): Admitted {
    const identity = this.#authorise(call, name);
    const leave = this.#admission.enter(identityUri(identity), kindOf(name));
    return { identity, leave, who: (claimed) => describeCaller(identity, claimed) };
  }

  #authorise(call: AuthenticatedCall, name: AdminCall): Identity {
    const certificate = call.getAuthContext().sslPeerCertificate?.raw;
    const { cluster, backend } = this.#options;
    return authorise(certificate, cluster, name, (node) => backend.standing(node));
  }

  /** A stream, which ends by itself where its caller is removed meanwhile. */
  #admitLasting(call: AuthenticatedCall & LastingCall, name: AdminCall): Admitted {
    const admitted = this.#admit(call, name);
    if (!('node' in admitted.identity)) return admitted;
    const forget = this.#lasting.add(call, () => void this.#authorise(call, name));
    const leave = (): void => {
      forget();
      admitted.leave();
    };
    return { ...admitted, leave };
  }

  /** The handlers of a package, behind the same door. */
  #guarded(
    name: 'Health' | 'Reflection',
    handlers: UntypedServiceImplementation,
  ): UntypedServiceImplementation {
    const guard =
      (handler: UntypedHandleCall) =>
      (call: ForeignCall, callback?: sendUnaryData<unknown>): void => {
        const fail = (error: unknown): void => {
          passOnInvariant(error);
          if (callback === undefined) call.emit('error', toStatus(error));
          else callback(toStatus(error));
        };
        try {
          const { leave } = callback === undefined ? this.#admitLasting(call, name) : this.#admit(call, name);
          for (const event of ['close', 'finish', 'cancelled']) call.once(event, leave);
          if (name === 'Health') this.#health?.refresh();
          else limitQuestions(call, fail);
          const answer: sendUnaryData<unknown> = (...answered) => {
            leave();
            callback?.(...answered);
          };
          (handler as ForeignHandler)(call, answer);
        } catch (error) {
          fail(error);
        }
      };
    return Object.fromEntries(Object.entries(handlers).map(([method, handler]) => [method, guard(handler)]));
  }

  /** A request that changes something: who asks, by which id, and under which epoch. */
  #order<Request extends WireOrder>(
    name: AdminCall,
    handle: (request: Request, order: MovingOrder) => Promise<object>,
  ) {
    return this.#unary(name, async (request: Request, who) => {
      const { requestId, expectedEpoch = null } = request;
      return withoutNulls(await handle(request, { who: who(request.who), requestId, expectedEpoch }));
    });
  }

  #unary<Request, Response>(
    name: AdminCall,
    handle: (request: Request, who: (claimed: string) => string) => Response | Promise<Response>,
  ) {
    return async (
      call: ServerUnaryCall<Request, Response>,
      callback: sendUnaryData<Response>,
    ): Promise<void> => {
      let leave = (): void => {};
      try {
        const admitted = this.#admit(call, name);
        leave = admitted.leave;
        callback(null, await handle(call.request, admitted.who));
      } catch (error) {
        passOnInvariant(error);
        callback(toStatus(error));
      } finally {
        leave();
      }
    };
  }

  #watch(call: WatchCall): void {
    let leave = (): void => {};
    try {
      leave = this.#admitLasting(call, 'WatchStatus').leave;
      for (const event of ['close', 'finish', 'cancelled']) call.once(event, leave);
      this.#feed.add(call);
    } catch (error) {
      leave();
      passOnInvariant(error);
      call.emit('error', toStatus(error));
    }
  }

  /** Committed entries only: what is not committed may still be replaced. */
  async #streamEntries(call: ServerWritableStream<{ from: number }, WireEntriesPage>): Promise<void> {
    let leave = (): void => {};
    try {
      leave = this.#admitLasting(call, 'AuditEntries').leave;
      let next = Math.max(1, call.request.from);
      const { commitIndex } = this.#backend.entries(logIndex(next), 0);
      while (next <= commitIndex && !call.cancelled) {
        const entries = onePage(
          this.#backend.entries(logIndex(next), Math.min(PAGE_ENTRIES, commitIndex - next + 1)).entries,
        );
        if (entries.length === 0) break;
        next += entries.length;
        if (!call.write({ entries, commitIndex }) && !(await drained(call))) return;
      }
      call.end();
    } catch (error) {
      passOnInvariant(error);
      call.emit('error', toStatus(error));
    } finally {
      leave();
    }
  }
}

interface Admitted {
  readonly identity: Identity;
  readonly who: (claimed: string) => string;
  /** Told when the call has ended. */
  readonly leave: () => void;
}

/** Of whatever kind; the packages have no common type for them. */
type ForeignCall = ServerDuplexStream<unknown, unknown>;
type ForeignHandler = (call: ForeignCall, callback: sendUnaryData<unknown>) => void;

/** A fence request is never put off: the I/O of its caller is frozen until it is answered (H3). */
const kindOf = (name: AdminCall): CallKind =>
  LEAST_ROLE[name] === 'viewer' || name === 'FencePeer' || name === 'Inspect' ? 'question' : 'order';

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
