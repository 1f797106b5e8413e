/**
 * peer.proto, loaded at run time: the paths of the methods, and messages to bytes and back.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { InvariantError } from '../core/index.ts';
import type {
  WireBootstrap,
  WireFacts,
  WireFactsRequest,
  WireMessage,
  WirePairAnswer,
  WirePairRequest,
} from './wire.ts';

const PROTO = join('proto', 'quorate', 'v1', 'peer.proto');

/** The folder that has `proto/`: the package's root, whether this runs from src, dist or dist/chunks. */
function findProto(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let at = start; ; at = dirname(at)) {
    const candidate = join(at, PROTO);
    if (existsSync(candidate)) return candidate;
    if (dirname(at) === at) throw new InvariantError(`no ${PROTO} in any folder above ${start}`);
  }
}

export interface MessageCodec<Wire> {
  encode(message: Wire): Buffer;
  /** Throws on bytes that are not such a message. */
  decode(bytes: Buffer): Wire;
}

interface PeerSchema {
  readonly message: MessageCodec<WireMessage>;
  readonly bootstrap: MessageCodec<WireBootstrap>;
  readonly factsRequest: MessageCodec<WireFactsRequest>;
  readonly facts: MessageCodec<WireFacts>;
  readonly pairRequest: MessageCodec<WirePairRequest>;
  readonly pairAnswer: MessageCodec<WirePairAnswer>;
}

let loaded: PeerSchema | null = null;

export function peerSchema(): PeerSchema {
  loaded ??= loadSchema();
  return loaded;
}

function loadSchema(): PeerSchema {
  // Numbers, not Longs or strings: indices are safe integers, and the gateway refuses what is not.
  const definition = loadSync(findProto(), { longs: Number, enums: String, defaults: true, oneofs: true });
  const codec = <Wire>(name: string): MessageCodec<Wire> => {
    const type = definition[name];
    if (type === undefined || !('serialize' in type)) throw new InvariantError(`peer.proto has no ${name}`);
    const { serialize, deserialize } = type as unknown as MessageTypeDefinition<Wire, Wire>; // loadSync knows no fields
    return { encode: serialize, decode: deserialize };
  };
  return {
    message: codec('quorate.v1.PeerMessage'),
    bootstrap: codec('quorate.v1.BootstrapRequest'),
    factsRequest: codec('quorate.v1.FactsRequest'),
    facts: codec('quorate.v1.NodeFacts'),
    pairRequest: codec('quorate.v1.PairRequest'),
    pairAnswer: codec('quorate.v1.PairAnswer'),
  };
}

/** The methods of the service, as gRPC names them on the wire. */
export const METHOD = {
  heartbeats: '/quorate.v1.Peer/Heartbeats',
  appends: '/quorate.v1.Peer/Appends',
  reportReleased: '/quorate.v1.Peer/ReportReleased',
  bootstrap: '/quorate.v1.Peer/Bootstrap',
  facts: '/quorate.v1.Peer/Facts',
  pair: '/quorate.v1.Peer/Pair',
} as const;

/** The answer to every call: nothing but that it was taken. gRPC knows no null message. */
export type Acknowledged = Readonly<Record<string, never>>;
export const ACKNOWLEDGED: Acknowledged = Object.freeze({});
