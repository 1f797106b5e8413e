/** Interfaces of this node, and whether TCP reaches every peer's address over the replication link. */
import { type Address, type MemberConfig, type PortResourceConfig, parseAddress } from '../config/index.ts';
import { ofKind } from './ask.ts';
import type { Check, CheckContext, Reach } from './context.ts';
import { type Finding, failed, ok, unknown, warning } from './report.ts';
import { summaryOf } from './statistics.ts';

const CONNECTS = 10;
const CONNECT_LIMIT_MS = 1000;

export const networkCheck: Check = {
  name: 'network',
  about: 'the interfaces of this node, and TCP round trips to every peer',
  isAlone: true,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const { config } = context;
    const own = config.members.find(({ id }) => id === config.node);
    const others = config.members.filter(({ id }) => id !== config.node);
    const findings = await Promise.all([
      ...(own === undefined ? [] : [peerInterface(context, own)]),
      ...ofKind(config, 'port').map((port) => portInterface(context, port)),
    ]);
    // One after the other: they are timed.
    for (const peer of others) findings.push(await reachability(context, peer));
    return findings;
  },
};

export function addressOf(member: MemberConfig): Address | null {
  const parsed = parseAddress(member.peer);
  return parsed.ok ? parsed.value : null;
}

async function peerInterface(context: CheckContext, own: MemberConfig): Promise<Finding> {
  const subject = 'peer interface';
  const host = addressOf(own)?.host ?? '';
  const found = interfaceOf(context, host);
  if (found === null) {
    return /^[\d.]+$|:/.test(host)
      ? failed(
          subject,
          `${host} is on no interface that is up: the agent cannot listen there`,
          'Give the address to the interface of the replication link, or correct members.ID.peer.',
        )
      : unknown(subject, `${host} is a name: which interface it means is not looked up here`);
  }
  const port = ofKind(context.config, 'port').find((one) => one.interface === found);
  if (port !== undefined)
    return warning(
      subject,
      `${host} is on ${found}, which is also the interface of "${port.name}": releasing it cuts the replication link`,
      'Use two interfaces: one for replication, one for clients.',
    );
  return ok(subject, `${host} is on ${found}`);
}

/** Of 127.0.0.0/8 every address is the loopback interface's, also those that are listed nowhere. */
function interfaceOf({ host }: CheckContext, address: string): string | null {
  const interfaces = host.interfaces();
  const exact = interfaces.find(({ addresses }) => addresses.includes(address));
  if (exact !== undefined) return exact.name;
  const isLoopback = address.startsWith('127.');
  return isLoopback
    ? (interfaces.find(({ addresses }) => addresses.includes('127.0.0.1'))?.name ?? null)
    : null;
}

/** Down is right for a node that does not hold: that the hardware is there is what can be seen. */
async function portInterface({ files }: CheckContext, port: PortResourceConfig): Promise<Finding> {
  const subject = `port ${port.name}`;
  const name = port.interface;
  const names = await files.list('/sys/class/net');
  if (names === null) return unknown(subject, '/sys/class/net cannot be listed');
  if (!names.includes(name))
    return failed(
      subject,
      `there is no interface ${name}: this node could not take over`,
      'Attach the second interface to this host, or correct "interface".',
    );
  const state = (await files.read(`/sys/class/net/${name}/operstate`))?.trim() ?? 'unknown';
  return ok(subject, `${name} is there, and ${state}`);
}

async function reachability(context: CheckContext, peer: MemberConfig): Promise<Finding> {
  const subject = `peer ${peer.id}`;
  const address = addressOf(peer);
  if (address === null) return unknown(subject, `${peer.peer} is not understood`);
  const ms: number[] = [];
  let last: Reach | null = null;
  for (let attempt = 0; attempt < CONNECTS && !context.signal.aborted; attempt++) {
    last = await context.network.connect(
      { ...address, localAddress: null },
      CONNECT_LIMIT_MS,
      context.signal,
    );
    if (last.kind !== 'connected') break;
    ms.push(last.ms);
  }
  const summary = summaryOf(ms);
  if (last?.kind !== 'connected' || summary === null) return unreachable(subject, peer.peer, last, ms.length);
  const detail = `${peer.peer}: ${summary.count} connections, ${summary.p50} ms usually, ${summary.max} ms at worst`;
  const measured = { kind: 'round-trips', over: 'tcp', ms } as const;
  const { heartbeatMs } = context.config.timing;
  if (summary.max <= heartbeatMs) return { ...ok(subject, detail), measured };
  return {
    ...warning(
      subject,
      `${detail}, longer than a heartbeat of ${heartbeatMs} ms`,
      'Check the link; if that is how it is, choose a longer heartbeat and lease.',
    ),
    measured,
  };
}

function unreachable(subject: string, address: string, reach: Reach | null, after: number): Finding {
  const remedy =
    'Check that its agent runs, and route and firewall of the replication link (port of members.ID.peer).';
  const which = after === 0 ? '' : `, after ${after} that worked`;
  if (reach?.kind === 'refused')
    return failed(subject, `${address} refuses connections${which}: no agent listens there`, remedy);
  if (reach === null) return unknown(subject, `${address} was not tried in time`);
  const why = reach.kind === 'failed' ? reach.why : reach.kind;
  return failed(subject, `${address} cannot be reached${which}: ${why}`, remedy);
}
