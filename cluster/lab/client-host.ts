/**
 * The kernel of the witness's host as a client of what the data nodes serve: runs one of the scripts in guest/ there, and reads what
 * its clients have noted (guest/clients-lib.sh).
 */
import { CLIENT_GATEWAY, ELASTIC_IP, type NodeName } from './hosts.ts';

/** What a client does: writes records, or reads a file of numbered blocks. */
export type Way = 'nfs4' | 'nfs3' | 'iscsi' | 'nfs4-reads' | 'nfs3-reads';
/** As in the scripts. */
export const RECORD_BYTES = 512;
const HOST = 'w';
const FOLDER = '/run/lab/clients';
const SCRIPTS = '/opt/quorate/guest';
/** The first mount on a fresh server waits for its grace period. */
const MOUNT_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 120_000;
const SERVED_LIMIT_MS = 300_000;

/** What one of the clients met in a scenario. */
export interface ClientResult {
  readonly way: Way;
  /** Writes; or reads, of one that only reads. */
  readonly acknowledged: number;
  readonly lost: number;
  /** Of a pool that snapshots keep alike: acknowledged by the old holder after the snapshot that the audit names. Not in `lost`. */
  readonly onlyOnOldHolder?: number;
  /** Reads and writes that ended with an error, or with something else than was written: none, on a hard mount and with nothing lost. */
  readonly errors: readonly string[];
  /** The longest time between two acknowledgements. */
  readonly longestGapMs: number;
}

export interface Guests {
  must(node: NodeName, command: string, limitMs?: number): Promise<string>;
  waitFor(what: string, condition: () => Promise<boolean>, limitMs: number): Promise<void>;
}

export interface Acknowledgement {
  readonly number: number;
  readonly uptimeS: number;
}

export class ClientHost {
  readonly #guests: Guests;
  readonly #script: string;

  constructor(guests: Guests, script: 'clients.sh' | 'nfs-clients.sh') {
    this.#guests = guests;
    this.#script = `${SCRIPTS}/${script}`;
  }

  /** Mounted before and still there: nothing is done. */
  async mount(...words: readonly string[]): Promise<void> {
    const settings = `CLIENTS_ADDRESS=${ELASTIC_IP} CLIENTS_GATEWAY=${CLIENT_GATEWAY}`;
    const command = [settings, this.#script, 'mount', ...words].join(' ');
    await this.#guests.must(HOST, command, MOUNT_LIMIT_MS);
  }

  run(words: readonly string[], limitMs?: number): Promise<string> {
    return this.#guests.must(HOST, [this.#script, ...words].join(' '), limitMs);
  }

  async stop(): Promise<void> {
    await this.run(['stop'], STOP_LIMIT_MS);
  }

  /** Every way has been acknowledged so many new ones from now on. */
  async served(ways: readonly string[], times = 1): Promise<void> {
    const before = await this.#counts(ways);
    await this.#guests.waitFor(
      `${ways.join(', ')} are served`,
      async () => {
        const counts = await this.#counts(ways);
        return counts.every((count, index) => count >= (before[index] ?? 0) + times);
      },
      SERVED_LIMIT_MS,
    );
  }

  async acknowledged(way: string): Promise<readonly Acknowledgement[]> {
    return parseAcknowledged(await this.#guests.must(HOST, `cat ${FOLDER}/${way}.acknowledged`));
  }

  async errors(way: string): Promise<readonly string[]> {
    const text = await this.#guests.must(HOST, `cat ${FOLDER}/${way}.errors 2>/dev/null || :`);
    return text.split('\n').filter(Boolean);
  }

  /** By the clock of the acknowledgements. */
  async uptimeS(): Promise<number> {
    return Number.parseFloat(await this.#guests.must(HOST, 'cat /proc/uptime'));
  }

  /** The end of what the clients' kernel has to say of its disks and servers. */
  async kernelLog(): Promise<string> {
    const text = await this.#guests.must(
      HOST,
      "dmesg | grep -Ei 'iscsi|scsi|sd |sda|nfs|connection' | tail -n 20",
    );
    return `the clients' kernel:\n${text.trim()}`;
  }

  async #counts(ways: readonly string[]): Promise<readonly number[]> {
    const files = ways.map((way) => `${FOLDER}/${way}.acknowledged`);
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
