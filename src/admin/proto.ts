/** The service of admin.proto and the shapes that proto-loader gives its messages. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { assert } from '../core/index.ts';

const ADMIN = 'proto/quorate/v1/admin.proto';
const ERROR_MODEL = ['proto/google/rpc/status.proto', 'proto/google/rpc/error_details.proto'];

export interface WireEntry {
  readonly index: number;
  readonly term: number;
  readonly previous: string;
  readonly hash: string;
  readonly body: string;
}
export interface WireEntriesPage {
  readonly entries: readonly WireEntry[];
  readonly commitIndex: number;
}
/** Of a call that changes something: an id to repeat it by, and of one that moves the resources the epoch that is expected. */
export interface WireOrder {
  readonly who: string;
  readonly requestId: string;
  readonly expectedEpoch?: number;
}
export interface WireSwitchoverRequest extends WireOrder {
  readonly to: string;
  readonly dryRun: boolean;
}
export interface WireScheduleRequest extends WireSwitchoverRequest {
  readonly atMs?: number | null;
  readonly inMs?: number | null;
  readonly why: string;
}
export interface WireCancelRequest extends WireOrder {
  readonly id?: number | null;
  readonly why: string;
}
export interface WirePauseRequest extends WireOrder {
  readonly why: string;
}
export interface WireRestartRequest extends WireOrder {
  readonly withinMs?: number | null;
  readonly dryRun: boolean;
}
export interface WireAllowDropRequest {
  readonly node: string;
  readonly datasets: readonly string[];
  readonly why: string;
  readonly who: string;
}
export interface WireStandbyRequest extends WireOrder {
  readonly node: string;
  readonly why: string;
}
export interface WireBootstrapRequest {
  readonly inSync: readonly string[];
  readonly who: string;
}
export interface WireMemberRequest extends WireOrder {
  readonly node: string;
  readonly why: string;
}
export interface WireAddMemberRequest extends WireMemberRequest {
  readonly peer: string;
  readonly zone: string;
  readonly witness: boolean;
  readonly snapshots: boolean;
}
export interface WireSettingsRequest extends WireOrder {
  readonly why: string;
  readonly heartbeatMs?: number;
  readonly leaseMs?: number;
  readonly releaseMs?: number;
  readonly watchdogMs?: number;
  readonly promiseMs?: number;
  readonly waitMs: number;
}
export interface WireFailoverRequest extends WireOrder {
  readonly to: string;
  readonly dryRun: boolean;
  readonly acceptDataLoss: boolean;
  readonly why: string;
}

const OPTIONS = { longs: Number, enums: String, defaults: true, oneofs: false } as const;

let loaded: PackageDefinition | null = null;
let loadedModel: PackageDefinition | null = null;

/** Everything of admin.proto. */
export function adminPackage(): PackageDefinition {
  // `defaults` fills what proto3 does not send; an absent `optional` stays absent and becomes null (status.ts).
  loaded ??= loadSync(protoFile(ADMIN), OPTIONS);
  return loaded;
}

export function adminService(): ServiceDefinition {
  const service = adminPackage()['quorate.v1.Admin'];
  assert(service !== undefined && !('format' in service), `${ADMIN} has no service quorate.v1.Admin`);
  return service as ServiceDefinition;
}

/** The messages of `google.rpc` that errors carry. */
export function errorModel(): PackageDefinition {
  loadedModel ??= loadSync(ERROR_MODEL.map(protoFile), { ...OPTIONS, keepCase: true });
  return loadedModel;
}

/** Looked for upwards, because the bundle lies at another depth than the source. */
function protoFile(file: string): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, file))) {
    const parent = dirname(directory);
    assert(parent !== directory, `${file} is missing beside the program`);
    directory = parent;
  }
  return join(directory, file);
}
