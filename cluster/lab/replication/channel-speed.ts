/**
 * How fast the product copies, beside the bare pipe between the same guests in the same run. Both are timed by the receiving pool, which writes
 * down when each receive has begun and ended (`zpool history -i`, whole seconds): nobody looks at anything meanwhile.
 */
import { type DataNode, replAddress } from '../hosts.ts';
import { POOL } from '../plan.ts';
import type { Stage } from '../stage.ts';
import { Copies, fileSystem } from './copies.ts';

const MIB = 128;
const LIMIT_MS = 1_200_000;
const KEY = '/run/lab-speed-key';

export class ChannelSpeed {
  readonly #stage: Stage;
  readonly #copies: Copies;
  readonly #run = Date.now();

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#copies = new Copies(stage.lab);
  }

  async compare(): Promise<void> {
    const { holder, standby, lab } = this.#stage;
    const { channel } = lab.options;
    const dataset = fileSystem(`speed-${this.#run}`);
    await this.#copies.pair(holder);
    await this.#copies.create(holder, { fileSystems: [dataset], volumes: [], kib: MIB * 1024 });
    // Left to the pipe until its turn comes.
    await this.#copies.must(
      holder,
      `zfs set quorate:replicate=off ${dataset} && zfs snapshot ${dataset}@pipe`,
    );
    await this.#allowPipe(holder, standby);
    const before = await this.#pipe(dataset, 'before');
    this.#stage.say(`the product, over ${channel}`);
    await this.#copies.must(holder, `zfs inherit quorate:replicate ${dataset}`);
    await this.#copies.complete(holder, [dataset], LIMIT_MS);
    const own = await this.#receivedIn(dataset);
    const after = await this.#pipe(dataset, 'after');
    const ratio = (before + after) / 2 / own;
    this.#stage.note(
      `${MIB} MiB over ${channel}: ${own} s; the bare pipe: ${before} s before it, ${after} s after it: ${Math.round(100 * ratio)} % of its throughput`,
    );
  }

  async #pipe(dataset: string, when: string): Promise<number> {
    const { holder, standby } = this.#stage;
    const copy = fileSystem(`pipe-${when}-${this.#run}`);
    this.#stage.say(`the bare pipe, ${when}`);
    const ssh = `ssh -i ${KEY} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@${replAddress(standby)}`;
    // As the product sends a file system that is not encrypted, and as nice to everything else: these guests have one processor each.
    await this.#copies.must(
      holder,
      `set -o pipefail; nice zfs send -L -e -c ${dataset}@pipe | nice ${ssh} nice zfs receive -s -u -o readonly=on ${copy}`,
    );
    const seconds = await this.#receivedIn(copy);
    await this.#copies.must(standby, `zfs destroy -r ${copy}`);
    return seconds;
  }

  /** A key of its own: the product's can only receive what it was agreed to. */
  async #allowPipe(from: DataNode, to: DataNode): Promise<void> {
    const key = await this.#copies.must(
      from,
      `rm -f ${KEY} ${KEY}.pub && ssh-keygen -q -t ed25519 -N '' -f ${KEY} && cat ${KEY}.pub`,
    );
    await this.#copies.must(
      to,
      `umask 077 && mkdir -p /root/.ssh && echo '${key.trim()}' >>/root/.ssh/authorized_keys`,
    );
  }

  /** Seconds from the first record of the stream to the end of the receive. */
  async #receivedIn(dataset: string): Promise<number> {
    const text = await this.#copies.must(
      this.#stage.standby,
      `zpool history -i ${POOL} | grep -F '${dataset.slice(POOL.length + 1)}'`,
    );
    const at = (what: string): number => {
      const line = text.split('\n').find((one) => one.includes(`] ${what} ${dataset}`)) ?? '';
      const [, day = '', time = ''] = /^(\d{4}-\d\d-\d\d)\.(\d\d:\d\d:\d\d) /.exec(line) ?? [];
      const found = Date.parse(`${day}T${time}Z`);
      if (Number.isNaN(found)) throw new Error(`the pool says nothing of "${what} ${dataset}": ${text}`);
      return found;
    };
    return (at('finish receiving') - at('receive')) / 1000;
  }
}
