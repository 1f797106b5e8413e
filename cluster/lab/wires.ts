/** The lab's namespaces, cables and taps, and what happens to cables. */
import { inside, ipBatch, run } from '../network/index.ts';
import { bridgeOf, type CuttableLink, type NodeName, PLACES, type Place, tapOf, WIRING } from './hosts.ts';

/** As those of the test networks: they go with the process that made them (cluster/network/namespaces.ts). */
export const namespaceOf = (owner: number, place: Place): string => `quorate-${owner}-${place}`;

/** No IPv6 of its own accord, so that every packet on the wires is one that was meant. */
const QUIET = 'for one in all default; do echo 1 > /proc/sys/net/ipv6/conf/$one/disable_ipv6; done';

export async function buildWires(owner: number): Promise<void> {
  for (const place of PLACES) {
    const name = namespaceOf(owner, place);
    await run(['ip', 'netns', 'add', name]);
    await run([...inside(name), 'sh', '-c', QUIET]);
  }
  await ipBatch(
    null,
    WIRING.cables((place) => namespaceOf(owner, place)),
  );
  for (const place of PLACES) await ipBatch(namespaceOf(owner, place), WIRING.inside[place]);
}

/** In the namespace that the caller runs in. The guest sees silence, as behind a switch that has lost its uplink. */
export async function cutLink(node: NodeName, link: CuttableLink): Promise<void> {
  await ipBatch(null, [`link set ${tapOf(link, node)} nomaster`]);
}

export async function healLink(node: NodeName, link: CuttableLink): Promise<void> {
  await ipBatch(null, [`link set ${tapOf(link, node)} master ${bridgeOf(link, node)}`]);
}
