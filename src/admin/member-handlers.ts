/** Requests about members and settings as they come from the wire: checked here, with limits (style 4). */
import { formatAddress, parseAddress } from '../config/index.ts';
import { nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { AddMemberOrder, MemberOrder, Order, SettingsOrder } from './backend.ts';
import type { WireAddMemberRequest, WireMemberRequest, WireSettingsRequest } from './proto.ts';

const MAX_ZONE = 63;
/** Like the config file's: an hour is far beyond any sense. */
const MAX_DURATION_MS = 3_600_000;
/** What the command waits for at most (client.ts), less a little. */
const MAX_WAIT_MS = 600_000;

export function memberOrder({ node, why }: WireMemberRequest, order: Order): MemberOrder {
  try {
    return { who: order.who, requestId: order.requestId, node: nodeId(node), why };
  } catch (error) {
    throw new QuorateError('usage', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

export function addMemberOrder(request: WireAddMemberRequest, order: Order): AddMemberOrder {
  const address = parseAddress(request.peer);
  if (!address.ok) throw new QuorateError('usage', `peer: ${address.why}`);
  if (address.value.port === 0) throw new QuorateError('usage', 'peer: a port that others can dial');
  const { zone, witness, snapshots } = request;
  if (zone.length > MAX_ZONE || /[^\x20-\x7e]/.test(zone))
    throw new QuorateError('usage', `zone: at most ${MAX_ZONE} printable characters`);
  if (witness && snapshots) throw new QuorateError('usage', 'a witness has no data that could be replicated');
  return { ...memberOrder(request, order), peer: formatAddress(address.value), zone, witness, snapshots };
}

export function settingsOrder(request: WireSettingsRequest, order: Order): SettingsOrder {
  const { waitMs } = request;
  if (!(waitMs >= 0 && waitMs <= MAX_WAIT_MS))
    throw new QuorateError('usage', `wait_ms: 0 to ${MAX_WAIT_MS}`);
  const values = {
    heartbeatMs: durationOf('heartbeat_ms', request.heartbeatMs),
    leaseMs: durationOf('lease_ms', request.leaseMs),
    releaseMs: durationOf('release_ms', request.releaseMs),
    watchdogMs: durationOf('watchdog_ms', request.watchdogMs),
    promiseMs: durationOf('promise_ms', request.promiseMs),
  };
  if (Object.values(values).every((value) => value === null))
    throw new QuorateError('usage', 'nothing to set: heartbeat, lease, release, watchdog or promise');
  return { who: order.who, requestId: order.requestId, why: request.why, values, waitMs };
}

function durationOf(name: string, value: number | undefined): number | null {
  if (value === undefined) return null;
  if (!(value >= 1 && value <= MAX_DURATION_MS))
    throw new QuorateError('usage', `${name}: 1 to ${MAX_DURATION_MS}`);
  return value;
}
