/** The admin service from the caller's side: typed answers, every call with a deadline. */
import { randomUUID } from 'node:crypto';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { z } from 'zod';
import { type Entry, type NodeId, nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { FilterRequest } from '../inspect/index.ts';
import { identityOf, type TlsMaterial } from '../peer/index.ts';
import type {
  CancelOutcome,
  FailoverOutcome,
  PauseOutcome,
  RestartOutcome,
  ScheduleOrder,
  ScheduleOutcome,
  SettingsOrder,
  StandbyOutcome,
  SwitchoverOutcome,
} from './backend.ts';
import { fromServiceError } from './errors.ts';
import { type InspectPage, inspect } from './inspect-client.ts';
import {
  type MemberOutcome,
  type MembersDocument,
  memberOutcomeSchema,
  membersSchema,
  type SettingsDocument,
  type SettingsOutcome,
  settingsOutcomeSchema,
  settingsSchema,
} from './members.ts';
import { adminService, type WireEntriesPage } from './proto.ts';
import { repeatAdvice } from './repeat-advice.ts';
import { type ReplicationDocument, replicationRunSchema, replicationSchema } from './replication.ts';
import { type StatusDocument, scheduledSchema, statusSchema, takeoverStepSchema } from './status.ts';
import { watchStatus } from './watch-client.ts';

export interface AdminClientOptions {
  /** HOST:PORT. */
  readonly address: string;
  readonly tls: TlsMaterial;
  /** The name to log, besides the certificate's. */
  readonly who: string;
}

/** Of a request that changes something. */
export interface OrderOptions {
  /** To repeat it by; without one it gets a new one. */
  readonly requestId?: string | undefined;
  /** Refused where another tenure is open than that of this epoch; 0: none. */
  readonly expectedEpoch?: number | undefined;
}

/** For TLS's server name indication, where an address may not stand. It decides nothing. */
const SERVER_NAME = 'agent.quorate';

const QUESTION_TIMEOUT_MS = 5_000;
const AUDIT_TIMEOUT_MS = 60_000;
const BOOTSTRAP_TIMEOUT_MS = 30_000;
/** A little longer than the agent itself waits. */
const ALERTS_TIMEOUT_MS = 25_000;
const FENCE_TIMEOUT_MS = 30_000;
/** One entry of the log; as long as the agent itself waits for it, and a little. */
const COMMIT_TIMEOUT_MS = 65_000;
/** As long as the agent waits for a node to have the log. */
const CATCH_UP_TIMEOUT_MS = 30_000;
/** More entries than D4 lets a log have: a wrong agent must not fill the memory. */
const MAX_ENTRIES = 1_000_000;

const checkSchema = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() });

const failoverSchema = z.object({
  dryRun: z.boolean(),
  to: z.string().transform(nodeId),
  mayLose: z.string(),
  forcedAt: z.number().nullable().default(null),
  epoch: z.number().nullable().default(null),
  totalMs: z.number().nullable().default(null),
  steps: z.array(takeoverStepSchema),
  checks: z.array(checkSchema),
  alreadyDone: z.boolean().default(false),
  idNotInLog: z.boolean().default(false),
});

const outcomeSchema = z.object({
  dryRun: z.boolean(),
  from: z.string().transform(nodeId).nullable().default(null),
  to: z.string().transform(nodeId),
  epoch: z.number().nullable().default(null),
  totalMs: z.number().nullable().default(null),
  steps: z.array(takeoverStepSchema),
  checks: z.array(checkSchema),
  alreadyDone: z.boolean().default(false),
  idNotInLog: z.boolean().default(false),
});

const scheduleSchema = z.object({
  dryRun: z.boolean(),
  schedule: scheduledSchema.nullable().default(null),
  checks: z.array(checkSchema),
  alreadyDone: z.boolean().default(false),
});
const cancelSchema = z.object({
  schedule: scheduledSchema.nullable().default(null),
  alreadyDone: z.boolean().default(false),
});

const restartSchema = z.object({
  dryRun: z.boolean(),
  node: z.string().transform(nodeId),
  instance: z.string(),
  epoch: z.number().nullable().default(null),
  withinMs: z.number(),
  index: z.number().nullable().default(null),
  checks: z.array(checkSchema),
  alreadyDone: z.boolean().default(false),
});

const pauseSchema = z.object({
  paused: z.boolean(),
  changed: z.boolean(),
  index: z.number().nullable().default(null),
  since: z
    .object({ who: z.string(), why: z.string(), at: z.string().nullable().default(null) })
    .nullable()
    .default(null),
  alreadyDone: z.boolean().default(false),
});

const standbySchema = z.object({
  node: z.string().transform(nodeId),
  standby: z.boolean(),
  changed: z.boolean(),
  index: z.number().nullable().default(null),
  moved: outcomeSchema.nullable().default(null),
  alreadyDone: z.boolean().default(false),
});

const alertsTestSchema = z.object({
  results: z.array(z.object({ target: z.string(), ok: z.boolean(), detail: z.string(), ms: z.number() })),
});
export type AlertsTestResult = z.infer<typeof alertsTestSchema>['results'][number];

export class AdminClient {
  readonly #options: AdminClientOptions;
  readonly #client: Client;

  constructor(options: AdminClientOptions) {
    this.#options = options;
    const { ca, cert, key } = options.tls;
    const secure = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert), {
      // The address is not in the certificate; any node of the CA may answer, a client's certificate may not.
      checkServerIdentity: (_host, certificate) => {
        const identity = identityOf(certificate.raw);
        return identity !== null && 'node' in identity
          ? undefined
          : new Error('the certificate of the agent does not name a node');
      },
    });
    this.#client = new Client(options.address, secure, {
      'grpc.ssl_target_name_override': SERVER_NAME,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.enable_http_proxy': 0,
    });
  }

  close(): void {
    this.#client.close();
  }

  async status(): Promise<StatusDocument> {
    return this.#parse(statusSchema, await this.#call('Status', {}, QUESTION_TIMEOUT_MS, false));
  }

  /** The status as it is, and whenever it has changed, until the signal fires. */
  watchStatus(signal: AbortSignal): AsyncGenerator<StatusDocument> {
    return watchStatus(this.#client, this.#options.address, this.#method('WatchStatus'), signal);
  }

  async replication(): Promise<ReplicationDocument> {
    return this.#parse(replicationSchema, await this.#call('Replication', {}, QUESTION_TIMEOUT_MS, false));
  }

  /** Null: of everything. Resolves with the number of the round that has it. */
  async runReplication(dataset: string | null): Promise<number> {
    const request = { dataset: dataset ?? '' };
    const answer = await this.#call('RunReplication', request, QUESTION_TIMEOUT_MS, true);
    return this.#parse(replicationRunSchema, answer).round;
  }

  /** Resolves with the entry that says it. */
  async allowDrop(request: {
    readonly node: string;
    readonly datasets: readonly string[];
    readonly why: string;
  }): Promise<number> {
    const wire = { ...request, who: this.#options.who };
    const answer = await this.#call('AllowDrop', wire, COMMIT_TIMEOUT_MS, true);
    return this.#parse(z.object({ index: z.number() }), answer).index;
  }

  /** The committed log. Every entry's hash is checked against its content; the chain is for the audit to check. */
  async entries(): Promise<Entry[]> {
    // Loaded here only: it brings the database with it.
    const { parseEntry, sha256 } = await import('../log/index.ts');
    const method = this.#method('AuditEntries');
    const entries: Entry[] = [];
    const stream = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      (bytes: Buffer) => method.responseDeserialize(bytes) as WireEntriesPage,
      { from: 1 },
      { deadline: Date.now() + AUDIT_TIMEOUT_MS },
    );
    try {
      for await (const page of stream as AsyncIterable<WireEntriesPage>) {
        for (const { body, ...envelope } of page.entries)
          entries.push(parseEntry({ ...envelope, body: JSON.parse(body) }, sha256));
        if (entries.length > MAX_ENTRIES)
          throw new QuorateError('answer-invalid', `the log has more than ${MAX_ENTRIES} entries`);
      }
    } catch (error) {
      stream.cancel();
      if (error instanceof QuorateError) throw error;
      throw fromServiceError(error as ServiceError, this.#options.address, false);
    }
    return entries;
  }

  async switchover(
    request: { to: NodeId | null; dryRun: boolean; timeoutMs: number } & OrderOptions,
  ): Promise<SwitchoverOutcome> {
    const { to, dryRun, timeoutMs } = request;
    const answer = await this.#order('Switchover', { to: to ?? '', dryRun }, request, timeoutMs, !dryRun);
    return this.#parse(outcomeSchema, answer);
  }

  async scheduleSwitchover(
    request: Pick<ScheduleOrder, 'to' | 'when' | 'why' | 'dryRun'> & OrderOptions,
  ): Promise<ScheduleOutcome> {
    const { to, when, why, dryRun } = request;
    const time = when.kind === 'at' ? { atMs: when.ms } : { inMs: when.ms };
    const wire = { to: to ?? '', ...time, why, dryRun };
    const answer = await this.#order('ScheduleSwitchover', wire, request, COMMIT_TIMEOUT_MS, !dryRun);
    return this.#parse(scheduleSchema, answer);
  }

  /** Whichever is open. */
  async cancelSwitchover(request: { why: string } & OrderOptions): Promise<CancelOutcome> {
    const { why } = request;
    const answer = await this.#order('CancelSwitchover', { why }, request, COMMIT_TIMEOUT_MS, true);
    return this.#parse(cancelSchema, answer);
  }

  async failover(
    request: {
      to: NodeId;
      dryRun: boolean;
      acceptDataLoss: boolean;
      why: string;
      timeoutMs: number;
    } & OrderOptions,
  ): Promise<FailoverOutcome> {
    const { to, dryRun, acceptDataLoss, why, timeoutMs } = request;
    const wire = { to, dryRun, acceptDataLoss, why };
    return this.#parse(failoverSchema, await this.#order('Failover', wire, request, timeoutMs, !dryRun));
  }

  async pause(request: { paused: boolean; why: string } & OrderOptions): Promise<PauseOutcome> {
    const { paused, why } = request;
    const call = paused ? 'Pause' : 'Resume';
    return this.#parse(pauseSchema, await this.#order(call, { why }, request, COMMIT_TIMEOUT_MS, true));
  }

  /** Of the agent that answers: it ends after the answer. */
  async restart(
    request: { withinMs: number | null; dryRun: boolean } & OrderOptions,
  ): Promise<RestartOutcome> {
    const { withinMs, dryRun } = request;
    const wire = { dryRun, ...(withinMs === null ? {} : { withinMs }) };
    const limitMs = dryRun ? QUESTION_TIMEOUT_MS : COMMIT_TIMEOUT_MS;
    return this.#parse(restartSchema, await this.#order('Restart', wire, request, limitMs, !dryRun));
  }

  /** `timeoutMs`: a holder that is put on standby hands over first. */
  async standby(
    request: { node: NodeId; standby: boolean; why: string; timeoutMs: number } & OrderOptions,
  ): Promise<StandbyOutcome> {
    const { node, standby, why, timeoutMs } = request;
    const call = standby ? 'Standby' : 'Activate';
    return this.#parse(standbySchema, await this.#order(call, { node, why }, request, timeoutMs, true));
  }

  async members(): Promise<MembersDocument> {
    return this.#parse(membersSchema, await this.#call('ListMembers', {}, QUESTION_TIMEOUT_MS, false));
  }

  async addMember(
    request: {
      node: NodeId;
      peer: string;
      zone: string;
      witness: boolean;
      snapshots: boolean;
      why: string;
    } & OrderOptions,
  ): Promise<MemberOutcome> {
    const { node, peer, zone, witness, snapshots, why } = request;
    const wire = { node, peer, zone, witness, snapshots, why };
    const answer = await this.#order('AddMember', wire, request, COMMIT_TIMEOUT_MS, true);
    return this.#parse(memberOutcomeSchema, answer);
  }

  /** `promote` waits at the agent for the node to have the log. */
  async changeMember(
    what: 'promote' | 'remove',
    request: { node: NodeId; why: string } & OrderOptions,
  ): Promise<MemberOutcome> {
    const { node, why } = request;
    const call = what === 'promote' ? 'PromoteMember' : 'RemoveMember';
    const timeoutMs = COMMIT_TIMEOUT_MS + (what === 'promote' ? CATCH_UP_TIMEOUT_MS : 0);
    return this.#parse(memberOutcomeSchema, await this.#order(call, { node, why }, request, timeoutMs, true));
  }

  async settings(): Promise<SettingsDocument> {
    return this.#parse(settingsSchema, await this.#call('ShowSettings', {}, QUESTION_TIMEOUT_MS, false));
  }

  async setSettings(
    request: {
      values: Partial<SettingsOrder['values']>;
      why: string;
      waitMs: number;
    } & OrderOptions,
  ): Promise<SettingsOutcome> {
    const { values, why, waitMs } = request;
    const wire = { ...values, why, waitMs };
    const answer = await this.#order('SetSettings', wire, request, COMMIT_TIMEOUT_MS + waitMs, true);
    return this.#parse(settingsOutcomeSchema, answer);
  }

  async bootstrap(inSync: readonly NodeId[]): Promise<void> {
    await this.#call('Bootstrap', { inSync, who: this.#options.who }, BOOTSTRAP_TIMEOUT_MS, true);
  }

  async fencePeer(peer: NodeId | null): Promise<'outdated'> {
    const answer = await this.#call('FencePeer', { peer: peer ?? '' }, FENCE_TIMEOUT_MS, true);
    return this.#parse(z.object({ result: z.literal('outdated') }), answer).result;
  }

  /** Sends a test alert from that node to everybody whom it would tell. */
  async alertsTest(): Promise<AlertsTestResult[]> {
    const answer = await this.#call('AlertsTest', {}, ALERTS_TIMEOUT_MS, false);
    return this.#parse(alertsTestSchema, answer).results;
  }

  /** What passes at that node from now on, until the signal fires. */
  inspect(filter: FilterRequest, signal: AbortSignal): AsyncGenerator<InspectPage> {
    return inspect(this.#client, this.#options.address, this.#method('Inspect'), filter, signal);
  }

  #method(name: string) {
    const method = adminService()[name];
    if (method === undefined) throw new QuorateError('answer-invalid', `admin.proto has no ${name}`);
    return method;
  }

  /** Where its outcome is not known, the error names the id to repeat it by. */
  async #order(
    name: string,
    wire: object,
    { requestId = randomUUID(), expectedEpoch }: OrderOptions,
    timeoutMs: number,
    mayHaveActed: boolean,
  ): Promise<unknown> {
    const { who } = this.#options;
    const epoch = expectedEpoch === undefined ? {} : { expectedEpoch };
    try {
      return await this.#call(name, { ...wire, who, requestId, ...epoch }, timeoutMs, mayHaveActed);
    } catch (error) {
      if (!(error instanceof QuorateError) || error.code !== 'timed-out-unknown') throw error;
      const message = `${error.message}; ${repeatAdvice(error, requestId, expectedEpoch)}`;
      throw new QuorateError(error.code, message, { cause: error, context: error.context });
    }
  }

  #call(name: string, request: object, timeoutMs: number, mayHaveActed: boolean): Promise<unknown> {
    const method = this.#method(name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        (bytes: Buffer): unknown => method.responseDeserialize(bytes),
        request,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (error === null) resolve(answer);
          else reject(fromServiceError(error, this.#options.address, mayHaveActed));
        },
      );
    });
  }

  #parse<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
    const result = schema.safeParse(answer);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    const where = issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`;
    throw new QuorateError('answer-invalid', `the agent at ${this.#options.address} answered ${where}`);
  }
}
