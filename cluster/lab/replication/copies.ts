/**
 * The pool that each data node has on a disk of its own, and that snapshots keep alike (`--storage replicated`): its datasets are
 * made on the holder, and looked at from outside of the product, by ZFS's own commands in the guests.
 */
import type { ReplicationDocument } from '../../../src/admin/index.ts';
import { parseCopyWords } from '../../../src/replication/index.ts';
import { DATA_NODES, type DataNode, peerOf } from '../hosts.ts';
import type { Lab } from '../lab.ts';
import { POOL, REPLICATED_MOUNT } from '../plan.ts';

/** A start of `quorate` takes ten seconds in an emulated guest that has other things to do, and one of ZFS's commands one. */
const COMMAND_LIMIT_MS = 300_000;
const QUORATE = '/usr/local/bin/quorate';
const CONFIG = '--config /etc/quorate/quorate.yaml';
const LOOK = '/run/lab/look';

/** GUIDs are the same on both sides. */
export type Snapshots = ReadonlyMap<string, string>;

export const fileSystem = (name: string): string => `${POOL}/${name}`;
export const pathOf = (dataset: string): string => dataset.replace(POOL, REPLICATED_MOUNT);

export interface Contents {
  readonly fileSystems: readonly string[];
  readonly volumes: readonly string[];
  /** Random bytes in each. */
  readonly kib: number;
}

/** A shell function: the device of a volume, whose name nobody makes in a guest without udev. */
export const VOLUME_DEVICE =
  'dev() { for d in /sys/block/zd*; do [ "$(/lib/udev/zvol_id "/dev/$(basename "$d")")" != "$1" ] || echo "/dev/$(basename "$d")"; done; }';

export class Copies {
  readonly #lab: Lab;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  must(node: DataNode, command: string): Promise<string> {
    return this.#lab.must(node, command, COMMAND_LIMIT_MS);
  }

  /** By what an operator would do: over SSH both directions are authorised, and tried. */
  async pair(node: DataNode): Promise<void> {
    if (this.#lab.options.channel !== 'ssh') return;
    await this.#lab.waitFor(
      'both directions of SSH work',
      async () => {
        await this.must(node, `${QUORATE} replication pair ${CONFIG} --yes`);
        return true;
      },
      COMMAND_LIMIT_MS,
    );
  }

  /** What is there already stays as it is. */
  async create(node: DataNode, { fileSystems, volumes, kib }: Contents): Promise<void> {
    const missing = async (names: readonly string[]): Promise<readonly string[]> => {
      const known = new Set((await this.must(node, `zfs list -H -o name -r ${POOL}`)).split('\n'));
      return names.filter((name) => !known.has(name));
    };
    for (const name of await missing(fileSystems))
      await this.must(node, `zfs create ${name} && head -c ${kib}k /dev/urandom >${pathOf(name)}/random`);
    for (const name of await missing(volumes))
      await this.must(
        node,
        `${VOLUME_DEVICE}; zfs create -V 16M ${name} && head -c ${kib}k /dev/urandom | dd of="$(dev ${name})" bs=64k conv=fsync`,
      );
    await this.must(node, `zpool sync ${POOL}`);
  }

  async discovered(node: DataNode): Promise<Discovery> {
    const text = await this.must(node, `${QUORATE} replication discover ${CONFIG} --json 2>/dev/null || :`);
    return JSON.parse(text) as Discovery;
  }

  status(holder: DataNode): Promise<ReplicationDocument> {
    return this.#lab.admin(holder).replication();
  }

  /** What the holder has now has arrived: a round is asked for, and its snapshots are looked for by GUID on the other side. */
  async complete(holder: DataNode, datasets: readonly string[], limitMs: number): Promise<void> {
    const before = await this.#newestOf(holder, datasets);
    await this.#startRound(holder, limitMs);
    let wanted = before;
    await this.#lab.waitFor(
      'a snapshot of each',
      async () => {
        wanted = await this.#newestOf(holder, datasets);
        return datasets.every(
          (dataset) => (wanted.get(dataset)?.guid ?? null) !== (before.get(dataset)?.guid ?? null),
        );
      },
      limitMs,
    );
    await this.#lab.waitFor(
      'all snapshots are common',
      async () => {
        const there = await this.snapshots(peerOf(holder));
        const missing = [...wanted.values()].find(({ guid, name }) => there.get(guid) !== name);
        if (missing !== undefined)
          throw new Error(`${missing.name} is on ${holder} only; ${await this.#saidOf(holder, datasets)}`);
        return true;
      },
      limitMs,
    );
  }

  /** So many rounds have begun since now. */
  async rounds(holder: DataNode, count: number, limitMs: number): Promise<void> {
    const { round } = await this.status(holder);
    await this.#lab.waitFor(
      `${count} periods`,
      async () => (await this.status(holder)).round.number >= round.number + count,
      limitMs,
    );
  }

  async snapshots(node: DataNode, dataset: string = POOL): Promise<Snapshots> {
    const text = await this.must(node, `zfs list -H -p -r -t snapshot -s createtxg -o guid,name ${dataset}`);
    return new Map(
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split('\t') as [string, string]),
    );
  }

  /** The one of whose moment everything has arrived there, by the word that a takeover goes by (docs/replication-roles.md). */
  async whole(node: DataNode): Promise<string | null> {
    const properties = 'quorate:complete,quorate:written,quorate:complete-of';
    const text = await this.must(node, `zfs get -H -p -o property,value ${properties} ${POOL}`);
    const words = parseCopyWords(POOL, text.trimEnd());
    return words?.kind === 'read' ? (words.complete?.snapshot ?? null) : null;
  }

  async #newestOf(
    node: DataNode,
    datasets: readonly string[],
  ): Promise<ReadonlyMap<string, { guid: string; name: string }>> {
    const all = [...(await this.snapshots(node))];
    return new Map(
      datasets.flatMap((dataset) => {
        const [guid, name] = all.findLast(([, one]) => one.startsWith(`${dataset}@`)) ?? [];
        return guid === undefined || name === undefined ? [] : [[dataset, { guid, name }]];
      }),
    );
  }

  /** What the product says of those that are not current; for whoever reads why it took too long. */
  async #saidOf(holder: DataNode, datasets: readonly string[]): Promise<string> {
    const { round, datasets: states } = await this.status(holder);
    const late = states.filter(({ dataset, state }) => datasets.includes(dataset) && state !== 'current');
    return [
      `round ${round.number}`,
      ...late.map(({ dataset, state, why }) => `${dataset}: ${state}: ${why}`),
    ].join('; ');
  }

  async #startRound(holder: DataNode, limitMs: number): Promise<void> {
    await this.#lab.waitFor(
      `${holder} sends`,
      async () => {
        await this.#lab.admin(holder).runReplication(null);
        return true;
      },
      limitMs,
    );
  }

  /**
   * Of what the snapshot holds: for a file system of its files, for a volume of its stream. The dataset itself need not be
   * mounted, so a copy is only read.
   */
  async checksums(node: DataNode, snapshots: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const sum = 'md5sum | cut -d" " -f1';
    const lines = snapshots.map((snapshot) =>
      [
        `if mount -t zfs -o ro ${snapshot} ${LOOK} 2>/dev/null`,
        `then echo "${snapshot} $(cd ${LOOK} && find . -type f | sort | xargs -r md5sum | ${sum})"; umount ${LOOK}`,
        `else echo "${snapshot} $(zfs send ${snapshot} | ${sum})"; fi`,
      ].join('; '),
    );
    const text = await this.must(node, `mkdir -p ${LOOK}\n${lines.join('\n')}`);
    return new Map(
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(' ') as [string, string]),
    );
  }

  /** The newest snapshot of each, by name, that both sides have. */
  async newestCommon(datasets: readonly string[]): Promise<readonly string[]> {
    const [one, other] = await Promise.all(DATA_NODES.map((node) => this.snapshots(node)));
    return datasets.map((dataset) => {
      const common = [...(one ?? [])].filter(
        ([guid, name]) => name.startsWith(`${dataset}@`) && other?.get(guid) === name,
      );
      const name = common.at(-1)?.[1];
      if (name === undefined) throw new Error(`${dataset} has no common snapshot`);
      return name;
    });
  }

  /** Datasets with what only this node has, as ZFS lists them. */
  async setAside(node: DataNode, epoch: number): Promise<readonly string[]> {
    const text = await this.must(node, `zfs list -H -o name -r ${POOL}/.diverged 2>/dev/null || :`);
    // What lay in something that is kept there itself has another place: EPOCH.2.
    const place = new RegExp(`^${POOL}/\\.diverged/${epoch}(\\.\\d+)?/`);
    return text.split('\n').filter((name) => place.test(name));
  }

  /** The bytes of a file in a snapshot; empty when there is no such file. */
  async read(node: DataNode, snapshot: string, file: string): Promise<Buffer> {
    const text = await this.must(
      node,
      `mkdir -p ${LOOK}; mount -t zfs -o ro ${snapshot} ${LOOK} || exit; base64 -w0 ${LOOK}/${file} 2>/dev/null; umount ${LOOK}`,
    );
    return Buffer.from(text.trim(), 'base64');
  }
}

/** Of `quorate replication discover --json` (docs/replication.md), what is looked at here. */
export interface Discovery {
  readonly complete: boolean;
  readonly from: string;
  readonly pools: readonly {
    readonly pool: string;
    readonly tasks: readonly {
      readonly dataset: string;
      readonly kind: 'filesystem' | 'volume';
      readonly decision: string;
      readonly reason: string | null;
      readonly why: string;
    }[];
  }[];
}
