/**
 * Namespaces of a test network, named `quorate-<pid>-<what>` after the process that made them. Nothing is left in the
 * host's own namespace: cables are made between two others.
 *
 * They go with their process, whatever ends it: `remove`, its exit, or, if it is killed outright, the next start.
 */
import { readdirSync } from 'node:fs';
import { attempt, ipBatch, run, runNow } from './commands.ts';
import { bridgeOf, type Cable, switchPort, type Topology } from './topology.ts';

const PREFIX = 'quorate';
const FIRST_INDEX = { host: 100, switch: 1_000 } as const;
const DIRECTORY = '/run/netns';

function existing(): string[] {
  try {
    return readdirSync(DIRECTORY);
  } catch {
    return [];
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Ends what still runs in them, by process id, and removes them. */
function removeNow(names: readonly string[]): void {
  for (const name of names) {
    try {
      for (const pid of runNow(['ip', 'netns', 'pids', name]).split('\n').filter(Boolean))
        process.kill(Number(pid), 'SIGKILL');
    } catch {
      // Gone meanwhile.
    }
    try {
      runNow(['ip', 'netns', 'del', name]);
    } catch (error) {
      process.stderr.write(`network: ${String(error)}\n`);
    }
  }
}

/** Those of a process that lives no more. */
export function removeLeftovers(): void {
  removeNow(
    existing().filter((name) => {
      const [, pid] = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name) ?? [];
      return pid !== undefined && Number(pid) !== process.pid && !isAlive(Number(pid));
    }),
  );
}

/** All that a process has made. */
export function removeNamespacesOf(pid: number): void {
  removeNow(existing().filter((name) => name.startsWith(`${PREFIX}-${pid}-`)));
}

/** Null where namespaces, bridges and nft work; else one sentence. */
export async function whyNoNetwork(): Promise<string | null> {
  if (process.platform !== 'linux') return 'the test network needs Linux';
  if (process.getuid?.() !== 0) return 'the test network needs root, for network namespaces';
  const name = `${PREFIX}-${process.pid}-try`;
  try {
    for (const program of ['ip', 'nft']) {
      const { stderr } = await attempt([program, '-V']);
      if (stderr.includes('ENOENT'))
        return `the test network needs ${program} (packages iproute2 and nftables)`;
    }
    await run(['ip', 'netns', 'add', name]);
    await ipBatch(name, ['link add dev bridge0 type bridge', 'link add dev one type veth peer name two']);
    await run(['ip', 'netns', 'exec', name, 'nft', '-f', '-'], 'table netdev try { }\ntable ip try { }\n');
    return null;
  } catch (error) {
    return `network namespaces do not work here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    if (existing().includes(name)) removeNow([name]);
  }
}

/** The switch, where every cable ends, and the other end of slow cables. */
export type Place = Topology['hosts'][number] | 'switch' | 'far';

export class Namespaces {
  readonly topology: Topology;

  constructor(topology: Topology) {
    this.topology = topology;
  }

  name(place: Place): string {
    return `${PREFIX}-${process.pid}-${place}`;
  }

  async build(): Promise<void> {
    const places: Place[] = [...this.topology.hosts, 'switch', 'far'];
    for (const place of places) {
      await run(['ip', 'netns', 'add', this.name(place)]);
      await run(['ip', 'netns', 'exec', this.name(place), 'sh', '-c', QUIET]);
      await ipBatch(this.name(place), ['link set lo up']);
    }
    await ipBatch(
      null,
      this.topology.cables.map((cable, index) => this.#link(cable, index)),
    );
    await ipBatch(this.name('switch'), [
      ...this.topology.segments.flatMap((segment) => [
        // No spanning tree: a port forwards as soon as its cable is in.
        `link add ${bridgeOf(segment)} type bridge stp_state 0 forward_delay 0`,
        `link set ${bridgeOf(segment)} up`,
      ]),
      ...this.topology.cables.map(
        ({ host, port, segment }) => `link set ${switchPort(host, port)} master ${bridgeOf(segment)} up`,
      ),
    ]);
    for (const host of this.topology.hosts) await this.bringUp(host);
  }

  /**
   * The two ends get different indexes: where they happen to be equal, the kernel takes the cable for an ordinary one and
   * may take a second to act on its carrier (`linkwatch_urgent_event`).
   */
  #link({ host, port }: Cable, index: number): string {
    const near = `${port} netns ${this.name(host)} index ${FIRST_INDEX.host + index}`;
    const far = `${switchPort(host, port)} netns ${this.name('switch')} index ${FIRST_INDEX.switch + index}`;
    return `link add ${near} type veth peer name ${far}`;
  }

  /** As a host boots: what is configured for good, and nothing that the cluster brings. */
  async bringUp(host: Topology['hosts'][number]): Promise<void> {
    const cables = this.topology.cables.filter((one) => one.host === host);
    await ipBatch(this.name(host), [
      ...cables.flatMap(({ port, address, isUpAtBoot }) => [
        ...(address === null ? [] : [`addr add ${address} dev ${port}`]),
        ...(isUpAtBoot ? [`link set ${port} up`] : []),
      ]),
      ...cables.flatMap(({ gateway }) => (gateway === null ? [] : [`route add default via ${gateway}`])),
    ]);
  }

  /** What a kernel forgets when its power goes. Synchronous: the power is off when it returns. */
  forget(host: Topology['hosts'][number]): void {
    const ports = this.topology.cables.filter((one) => one.host === host).map(({ port }) => port);
    const lines = ports.flatMap((port) => [`link set ${port} down`, `addr flush dev ${port}`]);
    runNow(['ip', '-n', this.name(host), '-batch', '-'], `${lines.join('\n')}\n`);
    const rules = [
      'ip route flush table all; ip rule flush; ip rule add pref 32766 table main; ip rule add pref 32767 table default',
      'ip rule add pref 0 table local; ip link set lo down; ip link set lo up; nft flush ruleset',
    ];
    runNow(['ip', 'netns', 'exec', this.name(host), 'sh', '-c', rules.join('; ')]);
  }

  remove(): void {
    removeNamespacesOf(process.pid);
  }
}

/** No IPv6 of its own accord, so that every packet on the wires is one that was meant. */
const QUIET = [
  'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6',
  'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6',
].join(' && ');
