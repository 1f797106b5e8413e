/**
 * Clients of what the data nodes serve beside the store: NFS 4.2, NFS 3 and iSCSI through the elastic IP, from the kernel of the
 * witness's host. Each writes numbered records, synced and past the page cache, and reads every one back (guest/clients.sh).
 *
 * What they were told is stored is read at the end on the holder itself, past the server.
 */
import { CLIENT_GATEWAY, type DataNode, ELASTIC_IP, type NodeName } from './hosts.ts';
import { MOUNT_POINT, VOLUME_DEVICE } from './plan.ts';

/** As in guest/clients.sh. */
const WAYS = ['nfs4', 'nfs3', 'iscsi'] as const;
type Way = (typeof WAYS)[number];
const RECORD_BYTES = 512;
const HOST = 'w';
const FOLDER = '/run/lab/clients';
const SCRIPT = '/opt/quorate/guest/clients.sh';
/** The first mount on a fresh server waits for its grace period. */
const MOUNT_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 120_000;
const SERVED_LIMIT_MS = 300_000;

/** What one of the clients met in a scenario. */
export interface ClientResult {
  readonly way: Way;
  readonly acknowledged: number;
  readonly lost: number;
  /** Reads and writes that ended with an error: none, on a hard mount. */
  readonly errors: readonly string[];
  /** The longest time between two acknowledgements. */
  readonly longestGapMs: number;
}

interface Guests {
  must(node: NodeName, command: string, limitMs?: number): Promise<string>;
  waitFor(what: string, condition: () => Promise<boolean>, limitMs: number): Promise<void>;
}

interface Acknowledgement {
  readonly number: number;
  readonly uptimeS: number;
}

export class FileClients {
  readonly #guests: Guests;

  constructor(guests: Guests) {
    this.#guests = guests;
  }

  /** Mounted before and still there: nothing is done. */
  async start(): Promise<void> {
    const settings = `CLIENTS_ADDRESS=${ELASTIC_IP} CLIENTS_GATEWAY=${CLIENT_GATEWAY}`;
    await this.#guests.must(HOST, `${settings} ${SCRIPT} mount`, MOUNT_LIMIT_MS);
    await this.#guests.must(HOST, `${SCRIPT} write`);
    await this.served();
  }

  /** Every way has been acknowledged a new record from now on. */
  async served(): Promise<void> {
    const before = await this.#counts();
    await this.#guests.waitFor(
      'NFS and iSCSI clients are served',
      async () => {
        const counts = await this.#counts();
        return counts.every((count, index) => count > (before[index] ?? 0));
      },
      SERVED_LIMIT_MS,
    );
  }

  async stop(): Promise<void> {
    await this.#guests.must(HOST, `${SCRIPT} stop`, STOP_LIMIT_MS);
  }

  /** Stopped before. */
  async results(holder: DataNode): Promise<readonly ClientResult[]> {
    const results: ClientResult[] = [];
    for (const way of WAYS) {
      const acknowledged = parseAcknowledged(
        await this.#guests.must(HOST, `cat ${FOLDER}/${way}.acknowledged`),
      );
      const errors = await this.#guests.must(HOST, `cat ${FOLDER}/${way}.errors 2>/dev/null || :`);
      const file = way === 'iscsi' ? VOLUME_DEVICE : `${MOUNT_POINT}/records-${way}`;
      const count = Math.max(...acknowledged.map(({ number }) => number)) + 1;
      const encoded = await this.#guests.must(
        holder,
        `dd if=${file} bs=${RECORD_BYTES} count=${count} 2>/dev/null | base64 -w0`,
      );
      results.push({
        way,
        acknowledged: acknowledged.length,
        lost: lostOf(way, acknowledged, Buffer.from(encoded.trim(), 'base64')).length,
        errors: errors.split('\n').filter(Boolean),
        longestGapMs: longestGapMs(acknowledged),
      });
    }
    return results;
  }

  /** The end of what the clients' kernel has to say of its disks and servers. */
  async kernelLog(): Promise<string> {
    const text = await this.#guests.must(
      HOST,
      "dmesg | grep -Ei 'iscsi|scsi|sd |sda|nfs|connection' | tail -n 20",
    );
    return `the clients' kernel:\n${text.trim()}`;
  }

  async #counts(): Promise<readonly number[]> {
    const files = WAYS.map((way) => `${FOLDER}/${way}.acknowledged`);
    const text = await this.#guests.must(
      HOST,
      `for file in ${files.join(' ')}; do cat $file 2>/dev/null | busybox wc -l; done`,
    );
    return text.trim().split('\n').map(Number);
  }
}

/** Lines of a number and an uptime; one that was cut off is no acknowledgement. Pure. */
export function parseAcknowledged(text: string): readonly Acknowledgement[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    const [, number, uptime] = /^(\d+) ([\d.]+)$/.exec(line) ?? [];
    return number === undefined ? [] : [{ number: Number(number), uptimeS: Number(uptime) }];
  });
}

/** The numbers that are not where they were written, with their content. Pure. */
export function lostOf(
  way: Way,
  acknowledged: readonly Acknowledgement[],
  content: Buffer,
): readonly number[] {
  return acknowledged
    .map(({ number }) => number)
    .filter((number) => {
      const record = content.toString('latin1', number * RECORD_BYTES, (number + 1) * RECORD_BYTES);
      return record !== `${`${way} record ${number}`.padEnd(RECORD_BYTES - 1)}\n`;
    });
}

/** Pure. */
export function longestGapMs(acknowledged: readonly Acknowledgement[]): number {
  const gaps = acknowledged.map(
    ({ uptimeS }, index) => uptimeS - (acknowledged[index - 1]?.uptimeS ?? uptimeS),
  );
  return Math.round(Math.max(0, ...gaps) * 1_000);
}
