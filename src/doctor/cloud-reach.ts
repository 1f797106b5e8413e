/** Whether the cloud's endpoint answers from where this node will ask it, without the address that moves (complaint 2). */
import { isIP } from 'node:net';
import { endpointsOf } from './cloud-needs.ts';
import type { MovingAddressView } from './cloud-probe.ts';
import type { CheckContext, Reach } from './context.ts';
import { type Finding, failed, ok, unknown } from './report.ts';

const CONNECT_LIMIT_MS = 2000;

const WAY =
  'Give the subnet a VPC endpoint for EC2, or a NAT gateway: the address that moves is not there yet when it is called for.';

/** From where the calls will leave, to where they go. */
export async function reachability(
  context: CheckContext,
  vias: readonly (string | null)[],
  addresses: readonly MovingAddressView[],
): Promise<readonly Finding[]> {
  const { config, network, signal } = context;
  const endpoints = endpointsOf(config);
  if (endpoints.length === 0) return [unknown('endpoint', 'no region and no endpoint is configured')];
  const pairs = vias.flatMap((via) => endpoints.map((endpoint) => ({ via, endpoint })));
  return Promise.all(
    pairs.map(async ({ via, endpoint }) => {
      const subject = `endpoint ${endpoint.host}${via === null ? '' : ` from ${via}`}`;
      const reach = await network.connect({ ...endpoint, localAddress: via }, CONNECT_LIMIT_MS, signal);
      return findingOf(subject, via, reach, addresses);
    }),
  );
}

function findingOf(
  subject: string,
  via: string | null,
  reach: Reach,
  addresses: readonly MovingAddressView[],
): Finding {
  switch (reach.kind) {
    case 'no-local-address':
      return unknown(
        subject,
        `${via} ${isIP(via ?? '') === 0 ? 'has no address' : 'is not on this host'} now: its port is down, as is right for a node that does not hold`,
        'Bring the port up for a moment and ask again; or ask while this node holds.',
      );
    case 'refused':
      return failed(subject, 'refuses connections', WAY);
    case 'failed':
      return failed(subject, `cannot be reached: ${reach.why}`, WAY);
    case 'connected': {
      const { localAddress, remoteAddress, ms } = reach;
      const detail = `answers in ${ms.toFixed(1)} ms, asked from ${localAddress}`;
      // An endpoint inside the VPC: whatever public address this node has, the way does not lead through it.
      if (isPrivate(remoteAddress)) return ok(subject, `${detail}, at the private address ${remoteAddress}`);
      const moving = addresses.find(({ privateIp }) => privateIp === localAddress);
      if (moving === undefined) return ok(subject, detail);
      return unknown(
        subject,
        `${detail}; but ${moving.publicIp} is here now, and the way may lead through it: that proves nothing for a takeover`,
        'Ask on a node that does not hold, with its port up for a moment; or give the subnet a VPC endpoint for EC2.',
      );
    }
  }
}

/** RFC 1918, RFC 4193 and loopback. */
export function isPrivate(address: string): boolean {
  return /^(10|127)\.|^192\.168\.|^172\.(1[6-9]|2\d|3[01])\.|^f[cd]|^::1$/i.test(
    address.replace(/^::ffff:/i, ''),
  );
}
