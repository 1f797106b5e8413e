import { type NodeId, nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';

export function parseNodeOption(option: string, value: string): NodeId {
  try {
    return nodeId(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QuorateError('usage', `${option}: ${reason}`, { cause: error });
  }
}
