/** The question of `quorate replication pair`, to bytes and back: a gateway like codec.ts. What a key is, the replication knows. */
import type { NodeId } from '../core/index.ts';
import { WireError } from './codec.ts';
import { LIMITS } from './limits.ts';
import { peerSchema } from './schema.ts';

export interface PairRequest {
  readonly publicKey: string;
  readonly hostKeys: readonly string[];
  readonly isDryRun: boolean;
}

export interface PairAnswer {
  readonly publicKey: string;
  readonly hostKeys: readonly string[];
  readonly changes: readonly string[];
}

export function encodePairRequest(request: PairRequest, from: NodeId, cluster: string): Buffer {
  const { publicKey, hostKeys, isDryRun } = request;
  return peerSchema().pairRequest.encode({
    ...{ cluster, from, publicKey },
    hostKeys: [...hostKeys],
    dryRun: isDryRun,
  });
}

/** Throws `WireError` and nothing else. */
export function readPairRequest(
  bytes: Buffer,
  expected: { readonly cluster: string; readonly from: NodeId },
): PairRequest {
  const wire = decoded(() => peerSchema().pairRequest.decode(bytes));
  if (wire.cluster !== expected.cluster) throw new WireError('wrong-cluster', 'a pairing of another cluster');
  if (wire.from !== expected.from)
    throw new WireError('wrong-sender', `a pairing with the certificate of ${expected.from}`);
  const { publicKey, hostKeys, dryRun } = wire;
  requireTexts([publicKey, ...hostKeys], LIMITS.keyCharacters);
  return { publicKey, hostKeys, isDryRun: dryRun };
}

export function encodePairAnswer(answer: PairAnswer, node: NodeId, cluster: string): Buffer {
  const { publicKey, hostKeys, changes } = answer;
  return peerSchema().pairAnswer.encode({
    ...{ cluster, node, publicKey },
    hostKeys: [...hostKeys],
    changes: changes.map((text) => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, LIMITS.keyCharacters)),
  });
}

/** Throws `WireError` and nothing else. */
export function readPairAnswer(
  bytes: Buffer,
  expected: { readonly cluster: string; readonly node: NodeId },
): PairAnswer {
  const wire = decoded(() => peerSchema().pairAnswer.decode(bytes));
  if (wire.cluster !== expected.cluster || wire.node !== expected.node)
    throw new WireError('wrong-sender', `an answer that is not of ${expected.node}`);
  const { publicKey, hostKeys, changes } = wire;
  requireTexts([publicKey, ...hostKeys, ...changes], LIMITS.keyCharacters);
  return { publicKey, hostKeys, changes };
}

function requireTexts(texts: readonly string[], limit: number): void {
  if (texts.length > LIMITS.keyTexts) throw new WireError('malformed', `${texts.length} texts in a pairing`);
  if (texts.some((text) => text.length > limit || !/^[\x20-\x7e]*$/.test(text)))
    throw new WireError('malformed', 'a text in a pairing');
}

function decoded<Wire>(decode: () => Wire): Wire {
  try {
    return decode();
  } catch (error) {
    throw new WireError('malformed', error instanceof Error ? error.message : String(error), error);
  }
}
