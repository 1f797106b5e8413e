/**
 * Whether a gateway answers on a link, by what the kernel's own neighbour table says: no package is needed for it, and a
 * gateway that answers no ping still answers ARP. It is only said: whether something behind the gateway is reached is for others to find out.
 */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { type Cidr, isLinkLocal } from './ip-address.ts';
import { type NeighbourState, parseNeighbour } from './ip-json.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { ActionContext } from './types.ts';

/** The kernel gives up after three requests, a second apart. */
const LIMIT_MS = 4000;
const POLL_MS = { first: 1, most: 50 } as const;

export interface GatewayOnLink {
  readonly gateway: Cidr;
  readonly interface: string;
  /** Our address to ask from; null: the kernel's choice. */
  readonly source: string | null;
}

/** Resolves with what can be said, also when it certainly does not answer. */
export async function checkGateway(
  { gateway, interface: name, source }: GatewayOnLink,
  tools: LinuxTools,
  clock: Clock,
  context: ActionContext,
): Promise<string> {
  const { address, family } = gateway;
  const here = [address, 'dev', name];
  const read = (): Promise<Reading<NeighbourState>> =>
    tools.read(['ip', '-j', 'neigh', 'show', ...here], context, (text) => parseNeighbour(text, address));
  /** Whether silence means a dead gateway: not when the kernel had no address yet to ask from. */
  let isSure = family === 'inet';
  let last = await read();
  /** An old entry is forgotten first, because it would count as good for another half a minute. */
  const ask = async (): Promise<void> => {
    if (last.kind !== 'read' || last.value !== 'none')
      await tools.run(['ip', 'neigh', 'del', ...here], context);
    // By itself the kernel asks from the link-local address, which is not usable for a second after a link came up.
    if (family === 'inet6' && source !== null && !isLinkLocal(address)) {
      const from = ['-I', source, '-I', name];
      const ping = ['ping', '-6', '-n', '-q', '-c', '1', '-W', '1', ...from, address];
      isSure = (await tools.run(ping, context)).kind === 'exited';
      if (isSure) return;
    }
    await tools.run(['ip', 'neigh', 'replace', ...here, 'use'], context);
  };

  const end = Math.min(context.deadline, clock.now() + LIMIT_MS);
  let pauseMs: number = POLL_MS.first;
  if (last.kind === 'read' && last.value !== 'answers') {
    await ask();
    last = await read();
  }
  for (;;) {
    if (last.kind === 'unknown') return `whether gateway ${address} answers is unknown: ${last.why}`;
    if (last.value === 'answers') return `gateway ${address} answers`;
    if (context.signal.aborted) throw new QuorateError('order-ended', 'asking the gateway was called off');
    const isOver = clock.now() + pauseMs >= end;
    if (last.value === 'silent' && isSure) return `gateway ${address} does not answer on ${name}`;
    if (isOver) return `whether gateway ${address} answers is not known yet`;
    if (last.value === 'silent') await ask();
    await clock.sleep(pauseMs, context.signal);
    pauseMs = Math.min(pauseMs * 2, POLL_MS.most);
    last = await read();
  }
}
