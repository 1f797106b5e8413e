/** The service of admin.proto and the shapes that proto-loader gives its messages. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert } from '../core/index.ts';

const FILE = 'proto/quorate/v1/admin.proto';

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
export interface WireSwitchoverRequest {
  readonly to: string;
  readonly dryRun: boolean;
  readonly who: string;
}
export interface WirePauseRequest {
  readonly who: string;
  readonly why: string;
}
export interface WireStandbyRequest {
  readonly node: string;
  readonly who: string;
  readonly why: string;
}
export interface WireBootstrapRequest {
  readonly inSync: readonly string[];
  readonly who: string;
}
export interface WireFailoverRequest {
  readonly to: string;
  readonly dryRun: boolean;
  readonly acceptDataLoss: boolean;
  readonly why: string;
  readonly who: string;
}

let loaded: ServiceDefinition | null = null;

export function adminService(): ServiceDefinition {
  if (loaded !== null) return loaded;
  // `defaults` fills what proto3 does not send; an absent `optional` stays absent and becomes null (status.ts).
  const definition = loadSync(protoFile(), { longs: Number, enums: String, defaults: true, oneofs: false });
  const service = definition['quorate.v1.Admin'];
  assert(service !== undefined && !('format' in service), `${FILE} has no service quorate.v1.Admin`);
  loaded = service as ServiceDefinition;
  return loaded;
}

/** Looked for upwards, because the bundle lies at another depth than the source. */
function protoFile(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, FILE))) {
    const parent = dirname(directory);
    assert(parent !== directory, `${FILE} is missing beside the program`);
    directory = parent;
  }
  return join(directory, FILE);
}
