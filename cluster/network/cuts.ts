/**
 * What happens to cables, all of it at the switch: a host sees no more than a missing carrier, or silence.
 *
 * A one-way cut is a rule at the switch port: frames from the host are dropped as they come in, frames to it as they go
 * out. A slow cable makes a detour: its port moves to a bridge of its own, from which a VXLAN leads through a process in
 * another namespace that delays each packet (slow-cable.ts), and back to the segment. The kernel here has no netem.
 */
import { ipBatch, nft, run } from './commands.ts';
import type { Namespaces } from './namespaces.ts';
import { bridgeOf, type Cable, cablesOf, type NodeName, switchPort } from './topology.ts';

/** As the host feels it: `unheard` cannot send, `deaf` cannot receive. */
export type OneWay = 'unheard' | 'deaf';

export const SLOW = { switchAddress: '192.0.2.1', farAddress: '192.0.2.2', near: 4801, far: 4802 } as const;
const SLOW_BRIDGE = 'br-slow';
/**
 * Smaller than any TCP packet in its wrapping, so that the kernel cuts each into fragments: it then fills in checksums
 * and splits segments, which between two namespaces it would leave to a network card that is not there.
 */
const UNDERLAY_MTU = 92;

export class Cuts {
  readonly #namespaces: Namespaces;
  readonly #switch: string;
  #rules = 0;
  #hasDetour = false;

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
    this.#switch = namespaces.name('switch');
  }

  #cable(host: NodeName, port: string): Cable {
    const cable = cablesOf(this.#namespaces.topology, host).find((one) => one.port === port);
    if (cable === undefined) throw new RangeError(`${host} has no ${port}`);
    return cable;
  }

  /** All cables of a host at once, or one of them. */
  async unplug(host: NodeName, port?: string): Promise<void> {
    await this.#set(host, port, 'down');
  }

  async plug(host: NodeName, port?: string): Promise<void> {
    await this.#set(host, port, 'up');
  }

  #set(host: NodeName, port: string | undefined, state: 'up' | 'down'): Promise<string> {
    const cables = port === undefined ? cablesOf(this.#namespaces.topology, host) : [this.#cable(host, port)];
    return ipBatch(
      this.#switch,
      cables.map((one) => `link set ${switchPort(one.host, one.port)} ${state}`),
    );
  }

  oneWay(host: NodeName, port: string, way: OneWay): Promise<string> {
    return this.#drop(switchPort(host, port), way === 'unheard' ? 'ingress' : 'egress', 'drop');
  }

  /** From one node to the other, on their replication ports. */
  between(from: NodeName, to: NodeName): Promise<string> {
    const address = this.#namespaces.topology.peerAddress[to];
    return this.#drop(switchPort(from, 'eth0'), 'ingress', `ip daddr ${address} drop`);
  }

  /** From one node to the other, on ports of one segment; broadcasts too. */
  onSegment(from: NodeName, to: NodeName, port: string): Promise<string> {
    this.#rules += 1;
    return nft(
      this.#switch,
      `table bridge cut${this.#rules} {
  chain cut {
    type filter hook forward priority 0
    iifname "${switchPort(from, port)}" oifname "${switchPort(to, port)}" drop
  }
}
`,
    );
  }

  #drop(device: string, hook: 'ingress' | 'egress', rule: string): Promise<string> {
    this.#rules += 1;
    return nft(
      this.#switch,
      `table netdev cut${this.#rules} {
  chain cut {
    type filter hook ${hook} device "${device}" priority 0
    ${rule}
  }
}
`,
    );
  }

  /** Ends every one-way cut, plugs every cable in, takes every detour away. */
  async heal(): Promise<void> {
    await nft(this.#switch, 'flush ruleset\n');
    const { topology } = this.#namespaces;
    await ipBatch(this.#switch, [
      ...(this.#hasDetour ? ['link set vx-far nomaster'] : []),
      ...topology.cables.flatMap(({ host, port, segment }) => [
        `link set ${switchPort(host, port)} master ${bridgeOf(segment)}`,
        `link set ${switchPort(host, port)} up`,
      ]),
    ]);
  }

  /** From now on every frame of this cable takes the detour. The process of the slow cable must run. */
  async detour(host: NodeName, port: string): Promise<void> {
    await ipBatch(this.#switch, [
      `link set vx-far master ${bridgeOf(this.#cable(host, port).segment)}`,
      `link set ${switchPort(host, port)} master ${SLOW_BRIDGE}`,
    ]);
  }

  /** Once for each network: the way through the other namespace. */
  async prepareDetour(): Promise<void> {
    if (this.#hasDetour) return;
    this.#hasDetour = true;
    const far = this.#namespaces.name('far');
    const vxlan = (name: string, port: number): string[] => [
      `link add ${name} type vxlan id 1 dstport ${port} local ${SLOW.switchAddress} remote ${SLOW.farAddress} noudpcsum`,
      `link set ${name} mtu 1500 up`,
    ];
    await run([
      ...['ip', 'link', 'add', 'detour', 'netns', this.#switch, 'type', 'veth'],
      ...['peer', 'name', 'detour', 'netns', far],
    ]);
    await ipBatch(far, [
      `addr add ${SLOW.farAddress}/24 dev detour`,
      `link set detour mtu ${UNDERLAY_MTU} up`,
    ]);
    await ipBatch(this.#switch, [
      `addr add ${SLOW.switchAddress}/24 dev detour`,
      `link set detour mtu ${UNDERLAY_MTU} up`,
      `link add ${SLOW_BRIDGE} type bridge stp_state 0 forward_delay 0`,
      `link set ${SLOW_BRIDGE} up`,
      ...vxlan('vx-near', SLOW.near),
      ...vxlan('vx-far', SLOW.far),
      `link set vx-near master ${SLOW_BRIDGE}`,
    ]);
  }
}
