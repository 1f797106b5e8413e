/** replication.proto, loaded at run time: the methods of the service with their codecs. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { InvariantError } from '../../core/index.ts';

const PROTO = join('proto', 'quorate', 'v1', 'replication.proto');
const SERVICE = 'quorate.v1.Replication';

export const GRPC_LIMITS = {
  /** Of one message with part of a stream. */
  chunkBytes: 64 * 1024,
  /** Of any message: a packed reading is the largest. */
  messageBytes: 1_500_000,
  /** A connection that is quiet for so long is probed, and given up after as long again. */
  keepaliveMs: 20_000,
} as const;

export interface WireText {
  json: string;
}
export interface WirePart {
  question?: WireText | null;
  data?: Buffer | null;
}

let loaded: ServiceDefinition | null = null;

export function replicationService(): ServiceDefinition {
  loaded ??= load();
  return loaded;
}

function load(): ServiceDefinition {
  const definition = loadSync(findProto(), { longs: Number, enums: String, oneofs: true, defaults: false });
  const service = definition[SERVICE];
  if (service === undefined || 'format' in service) throw new InvariantError(`${PROTO} has no ${SERVICE}`);
  return service;
}

/** The folder that has `proto/`: the package's root, whether this runs from src, dist or dist/chunks. */
function findProto(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let at = start; ; at = dirname(at)) {
    const candidate = join(at, PROTO);
    if (existsSync(candidate)) return candidate;
    if (dirname(at) === at) throw new InvariantError(`no ${PROTO} in any folder above ${start}`);
  }
}
