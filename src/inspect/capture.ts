/**
 * What was seen as a capture for Wireshark. Each message is a segment of a TCP connection between made-up hosts that have the names of
 * the nodes, the executor and the cloud's services; its comment is the decoded text. Nothing of a payload is stored: a packet is
 * its headers, and its original length says how much there was.
 *
 * A message that did not leave is no packet.
 */
import { addressOf, type Endpoint, HEADER_BYTES, headers, SEGMENT_BYTES } from './frames.ts';
import { describe, type InspectItem } from './item.ts';
import {
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  nameResolution,
  sectionHeader,
} from './pcapng.ts';

const ABOUT =
  'Decoded messages as the agent saw them; see the comment of each packet. Frames, addresses (192.0.2.0/24) and ports are made up; ' +
  'lengths are those of the messages without the framing of gRPC, TLS and HTTP; no payload is stored.';

/** What listens, by channel: the usual port of the agents, one that is nobody's, and HTTPS. */
const PORTS = { peer: 7400, executor: 7403, cloud: 443 } as const;
const SELF = 1;
const MOST_HOSTS = 254;

interface Flow {
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** Next of each side. */
  fromClient: number;
  fromServer: number;
}

export class Capture {
  readonly #observer: string;
  readonly #hosts = new Map<string, number>();
  readonly #flows = new Map<string, Flow>();
  #packets = 0;
  #dropped = 0;
  #lastAtMs = 0;

  /** `observer`: the node that looks. */
  constructor(observer: string) {
    this.#observer = observer;
  }

  get packets(): number {
    return this.#packets;
  }

  /** What a file begins with. */
  begin(version: string): Buffer {
    this.#hosts.set(this.#observer, SELF);
    return Buffer.concat([
      sectionHeader(`quorate ${version}`, ABOUT),
      interfaceDescription(`quorate ${this.#observer}`, HEADER_BYTES),
      nameResolution([[addressOf(SELF), this.#observer]]),
    ]);
  }

  /** Empty where nothing left. */
  packet(item: InspectItem): Buffer {
    if (item.direction === 'sent' && item.outcome !== null && item.bytes === null) return Buffer.alloc(0);
    if (item.channel === 'cloud' && item.detail.attempts === 0) return Buffer.alloc(0);
    if (item.channel === 'executor' && item.outcome !== null) return Buffer.alloc(0);
    const parts: Buffer[] = [];
    const flow = this.#flowOf(item, (named) => parts.push(named));
    const comment = commentOf(item);
    const isByClient = isFromClient(item);
    let left = item.bytes ?? 0;
    do {
      const payloadBytes = Math.min(left, SEGMENT_BYTES);
      const captured = isByClient
        ? headers(flow.client, flow.server, {
            sequence: flow.fromClient,
            acknowledged: flow.fromServer,
            payloadBytes,
            id: this.#packets,
          })
        : headers(flow.server, flow.client, {
            sequence: flow.fromServer,
            acknowledged: flow.fromClient,
            payloadBytes,
            id: this.#packets,
          });
      if (isByClient) flow.fromClient += payloadBytes;
      else flow.fromServer += payloadBytes;
      left -= payloadBytes;
      this.#packets += 1;
      this.#lastAtMs = item.atMs;
      parts.push(
        enhancedPacket({
          atMs: item.atMs,
          captured,
          originalBytes: HEADER_BYTES + payloadBytes,
          isInbound: item.direction === 'received',
          // Of a message in several packets the last one has it, as where Wireshark shows what it put together.
          comment: left === 0 ? comment : null,
        }),
      );
    } while (left > 0);
    return Buffer.concat(parts);
  }

  /** So many messages are missing here. */
  missing(count: number): void {
    this.#dropped += count;
  }

  /** What a file ends with, so that it says what is missing in it. */
  end(): Buffer {
    return interfaceStatistics(this.#lastAtMs, this.#packets + this.#dropped, this.#dropped);
  }

  #flowOf(item: InspectItem, onNew: (block: Buffer) => void): Flow {
    const other = this.#hostOf(nameOf(item, this.#observer), onNew);
    const lane = laneOf(item);
    // Each node sends on connections that it has opened itself.
    const isOurs = (item.direction === 'sent') === isFromClient(item);
    const key = `${other} ${lane} ${isOurs}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    const [client, server] = isOurs ? [SELF, other] : [other, SELF];
    const flow: Flow = {
      client: { host: client, port: 40_000 + this.#flows.size },
      server: { host: server, port: PORTS[item.channel] },
      fromClient: 1,
      fromServer: 1,
    };
    this.#flows.set(key, flow);
    return flow;
  }

  #hostOf(name: string, onNew: (block: Buffer) => void): number {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    // Far more than a cluster has members; the rest would share the last one.
    const host = Math.min(this.#hosts.size + 1, MOST_HOSTS);
    this.#hosts.set(name, host);
    onNew(nameResolution([[addressOf(host), name]]));
    return host;
  }
}

function nameOf(item: InspectItem, observer: string): string {
  switch (item.channel) {
    case 'peer':
      return item.peer ?? 'unknown';
    case 'executor':
      return `${observer}-executor`;
    case 'cloud':
      return String(item.detail.service ?? 'cloud').toLowerCase();
  }
}

const CALLS = /^(released|bootstrap|facts)(-ack)?$/;

function laneOf({ channel, kind }: InspectItem): string {
  if (channel === 'cloud') return 'calls';
  if (channel === 'executor') return kind === 'renew' ? 'guard' : 'channel';
  if (CALLS.test(kind)) return 'calls';
  return kind.startsWith('heartbeat') ? 'heartbeats' : 'appends';
}

/** The executor and the cloud only answer; of the nodes, who speaks has opened the connection, answers to single calls apart. */
function isFromClient({ channel, direction, kind }: InspectItem): boolean {
  if (channel !== 'peer') return direction === 'sent';
  return !(CALLS.test(kind) && kind.endsWith('-ack'));
}

function commentOf(item: InspectItem): string {
  const latency = item.latencyMs === null ? '' : ` after ${item.latencyMs.toFixed(1)} ms`;
  const said = describe(item);
  return `${item.kind}${latency}${said === '' ? '' : `: ${said}`}`;
}
