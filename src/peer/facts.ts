/** What a node says about itself, to bytes and back: a gateway like codec.ts (style 4). It decides nothing (H5). */
import type { NodeId } from '../core/index.ts';
import { WireError } from './codec.ts';
import { LIMITS } from './limits.ts';
import { peerSchema } from './schema.ts';

export interface NodeFacts {
  readonly node: NodeId;
  readonly version: string;
  /** Of Node.js, as "20.19.0". */
  readonly nodeVersion: string;
  /** A hash of each part of the config that must be equal on all nodes. */
  readonly config: Readonly<Record<string, string>>;
  /** ms since 1970, for people only (T3). */
  readonly wallMs: number;
  /** Null: its version does not say it. */
  readonly fitness: Fitness | null;
  /** By which ZFS knows the host, in hexadecimal; null: not known, or none. */
  readonly hostId: string | null;
}

/** H6: whether a node could take over, by what it knows of itself. */
export interface Fitness {
  readonly ok: boolean;
  /** One sentence. */
  readonly why: string;
}

/** `pools`: what its pools hold is asked for too. */
export function encodeFactsRequest(from: NodeId, cluster: string, pools = false): Buffer {
  return peerSchema().factsRequest.encode({ cluster, from, pools });
}

/** Throws `WireError` and nothing else. */
export function readFactsRequest(
  bytes: Buffer,
  expected: { readonly cluster: string; readonly from: NodeId },
): { readonly pools: boolean } {
  const wire = decoded(() => peerSchema().factsRequest.decode(bytes));
  if (wire.cluster !== expected.cluster)
    throw new WireError('wrong-cluster', `a question of cluster ${quoted(wire.cluster)}`);
  if (wire.from !== expected.from)
    throw new WireError(
      'wrong-sender',
      `a question of ${quoted(wire.from)} with the certificate of ${expected.from}`,
    );
  return { pools: wire.pools === true };
}

/** `pools`: the reading that was asked for. */
export function encodeFacts(facts: NodeFacts, cluster: string, pools = ''): Buffer {
  const { config, fitness, hostId, ...rest } = facts;
  const said = fitness === null ? {} : { fitness: { ok: fitness.ok, why: printable(fitness.why) } };
  return peerSchema().facts.encode({
    ...rest,
    ...said,
    cluster,
    config: { ...config },
    hostId: hostId ?? '',
    pools,
  });
}

/** Throws `WireError` and nothing else. `expected.node` is whom the connection's certificate names. */
export function decodeFacts(
  bytes: Buffer,
  expected: { readonly cluster: string; readonly node: NodeId },
): NodeFacts {
  const wire = decoded(() => peerSchema().facts.decode(bytes));
  if (wire.cluster !== expected.cluster)
    throw new WireError('wrong-cluster', `facts of cluster ${quoted(wire.cluster)}`);
  if (wire.node !== expected.node)
    throw new WireError('wrong-sender', `facts of ${quoted(wire.node)}, not of ${expected.node}`);
  const parts = Object.entries(wire.config);
  if (parts.length > LIMITS.factsParts)
    throw new WireError('malformed', `${parts.length} parts, the limit is ${LIMITS.factsParts}`);
  for (const text of [wire.version, wire.nodeVersion, ...parts.flat()]) {
    if (text.length > LIMITS.factsCharacters || !PRINTABLE.test(text))
      throw new WireError('malformed', `the text ${quoted(text)}`);
  }
  if (!Number.isFinite(wire.wallMs) || wire.wallMs < 0)
    throw new WireError('malformed', `the time ${wire.wallMs}`);
  if (!HOST_ID.test(wire.hostId)) throw new WireError('malformed', `the host id ${quoted(wire.hostId)}`);
  const { version, nodeVersion, config, wallMs } = wire;
  const hostId = wire.hostId === '' ? null : wire.hostId;
  const fitness = readFitness(wire.fitness);
  return { node: expected.node, version, nodeVersion, config: { ...config }, wallMs, fitness, hostId };
}

/** The reading of pools in them, still packed; null: its version does not say it. Throws as `decodeFacts`. */
export function decodePools(
  bytes: Buffer,
  expected: { readonly cluster: string; readonly node: NodeId },
): string | null {
  decodeFacts(bytes, expected);
  const { pools = '' } = decoded(() => peerSchema().facts.decode(bytes));
  if (pools.length > LIMITS.poolsCharacters || !BASE64.test(pools))
    throw new WireError('malformed', `a reading of pools, ${pools.length} characters`);
  return pools === '' ? null : pools;
}

function readFitness(fitness: Fitness | null | undefined): Fitness | null {
  if (fitness === null || fitness === undefined) return null;
  const { ok, why } = fitness;
  if (why.length > LIMITS.fitnessCharacters || !PRINTABLE.test(why))
    throw new WireError('malformed', `the text ${quoted(why)}`);
  return { ok, why };
}

function decoded<Wire>(decode: () => Wire): Wire {
  try {
    return decode();
  } catch (error) {
    throw new WireError('malformed', error instanceof Error ? error.message : String(error), error);
  }
}

/** It ends up on an operator's terminal. */
const PRINTABLE = /^[\x20-\x7e]*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const HOST_ID = /^[0-9a-f]{0,8}$/;

/** It quotes commands, which may have said anything. */
const printable = (text: string): string =>
  text.slice(0, LIMITS.fitnessCharacters).replaceAll(/[^\x20-\x7e]/g, '?');

/** Somebody else's text, short and on one line. */
const quoted = (text: string): string => JSON.stringify(text.slice(0, 80));
