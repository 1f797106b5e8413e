/**
 * NFS clients of a pool that snapshots keep alike, over a power cut of the holder. They are mounted hard, by versions 4.2 and 3: each
 * writes synced records, and reads a file that has long been replicated on one open file all the time.
 *
 * What must hold: no read of that file ends with an error or with anything else; every record up to the snapshot that the audit names
 * is there; what the old holder acknowledged after it is all that is gone; and what the new one acknowledges stays.
 */
import { type Acknowledgement, ClientHost, type ClientResult, longestGapMs, lostOf } from '../client-host.ts';
import { POOL, promiseMs, SHARE, SHARE_MOUNT } from '../plan.ts';
import type { Stage } from '../stage.ts';
import { Copies } from './copies.ts';
import { hasReadNothing, judge, recordRead, statedSnapshot } from './window.ts';

const VERSIONS = ['nfs4', 'nfs3'] as const;
type Version = (typeof VERSIONS)[number];
const READS = ['nfs4-reads', 'nfs3-reads'] as const;
const ALL = [...VERSIONS, ...READS];
const PERIODS = 3;
/** Of each client, between the last whole snapshot and the power cut; and after the takeover. */
const SOME = 5;
/** Two files of a MiB in an emulated guest. */
const MAKE_LIMIT_MS = 300_000;
const LIMIT_MS = 1_200_000;
/** Of the promise: so long after the power cut nobody else can have acknowledged anything, however slowly that is noted. */
const SAFE_PART = 1 / 3;

/** Numbers of records, by the client that wrote them. */
type Numbers = Readonly<Record<Version, readonly number[]>>;

/** What is known when the power is cut. */
interface Cut {
  readonly beforeSnapshot: Numbers;
  /** By the clients' clock: what was acknowledged until then was by the old holder, for nobody else may hold so soon. */
  readonly oldHolderUntilS: number;
  /** Of the files that are read, as the old holder had them. */
  readonly inodes: string;
}

/** Snapshots that the takeover went on from. */
interface Origin {
  /** By the audit. */
  readonly stated: string;
  /** The newest that had arrived: usually the same. */
  readonly newest: string;
}

export async function failOverNfs(stage: Stage): Promise<void> {
  const failover = new NfsFailover(stage, `${Date.now()}`);
  await failover.startClients();
  try {
    const cut = await failover.cutPower();
    const { epoch } = await stage.takenOver(stage.standby);
    await stage.served();
    await failover.goOn();
    await failover.compare(cut, epoch);
  } finally {
    // Why it ended is known already; a client that waits for its server cannot be ended.
    await failover.stopClients().catch(() => undefined);
  }
  await stage.restore([stage.holder]);
}

class NfsFailover {
  readonly #stage: Stage;
  readonly #run: string;
  readonly #copies: Copies;
  readonly #clients: ClientHost;

  constructor(stage: Stage, run: string) {
    this.#stage = stage;
    this.#run = run;
    this.#copies = new Copies(stage.lab);
    this.#clients = new ClientHost(stage.lab, 'nfs-clients.sh');
  }

  #file(what: 'records' | 'blocks' | 'late', version: Version): string {
    return `${what}-${version}-${this.#run}`;
  }

  async startClients(): Promise<void> {
    await this.#copies.pair(this.#stage.holder);
    await this.#clients.mount(SHARE_MOUNT);
    await this.#clients.run(['make', this.#run], MAKE_LIMIT_MS);
    await this.#clients.run(['start', this.#run]);
    this.#stage.say('NFS clients are mounted');
  }

  stopClients(): Promise<void> {
    return this.#clients.stop();
  }

  /** After some periods of replication, with something that has not been replicated. */
  async cutPower(): Promise<Cut> {
    const { holder, lab } = this.#stage;
    await this.#clients.served(ALL);
    await this.#replicated();
    this.#stage.say(`replicated; ${PERIODS} periods of writing`);
    const inodes = await this.#inodes(holder);
    // Right after the beginning of a round: what follows has a period's time, and no snapshot comes into it.
    await this.#copies.rounds(holder, PERIODS, LIMIT_MS);
    const beforeSnapshot = await this.#numbers();
    await this.#replicated();
    await this.#clients.run(['late', this.#run], MAKE_LIMIT_MS);
    await this.#clients.served([...ALL, ...VERSIONS.map((version) => `${version}-late`)], SOME);
    // With this in the client's cache: what is gone must not be seen there afterwards.
    for (const version of VERSIONS) await this.#seenBy(version);
    await this.#stage.fault(`${holder} loses its power`, () => lab.powerOff(holder));
    const oldHolderUntilS = await this.#oldHolderUntilS();
    return { beforeSnapshot, oldHolderUntilS, inodes };
  }

  /** A client may still have to note what it was told right before the power cut: that has some time. */
  async #oldHolderUntilS(): Promise<number> {
    const { timing, watchdog } = this.#stage.lab.options;
    const safeMs = promiseMs(timing, watchdog) * SAFE_PART;
    const uptimeS = await this.#clients.uptimeS();
    this.#stage.expect(
      this.#stage.sinceFaultMs() < safeMs,
      'the clients could not be asked before somebody may have taken over',
    );
    return uptimeS + safeMs / 1_000;
  }

  /** Everything that is there now has arrived, and the other side has been told so: a takeover goes on from there, or from newer. */
  async #replicated(): Promise<void> {
    const { holder, standby } = this.#stage;
    await this.#copies.complete(holder, [SHARE], LIMIT_MS);
    const [common = ''] = await this.#copies.newestCommon([SHARE]);
    await this.#stage.waitFor(`${standby} is told that ${common} is whole`, async () => {
      const names = [...(await this.#copies.snapshots(standby, SHARE)).values()];
      const whole = await this.#copies.whole(standby);
      return whole !== null && names.indexOf(`${SHARE}@${whole}`) >= names.indexOf(common);
    });
  }

  /** All clients are served by the new holder; what they write there is read back by themselves. */
  async goOn(): Promise<void> {
    await this.#clients.served(ALL, SOME);
    this.#stage.say('the NFS clients go on');
  }

  async compare(cut: Cut, epoch: number): Promise<void> {
    const { standby } = this.#stage;
    const from: Origin = { stated: await this.#stated(epoch), newest: await this.#newest(epoch) };
    const inodes = await this.#inodes(standby);
    this.#stage.expect(
      inodes === cut.inodes,
      `the files that are read were the inodes ${cut.inodes}, and are ${inodes}`,
    );
    for (const version of VERSIONS) await this.#compareLate(version, from.newest);
    await this.#clients.stop();
    const results: ClientResult[] = [];
    for (const version of VERSIONS) {
      results.push(await this.#compareRecords(version, cut, from));
      await this.#compareViews(version);
    }
    for (const way of READS) {
      const reads = await this.#clients.acknowledged(way);
      const errors = await this.#clients.errors(way);
      this.#stage.expect(errors.length === 0, `${way}: ${errors.length} errors, the first: ${errors[0]}`);
      const gap = longestGapMs(reads);
      results.push({ way, acknowledged: reads.length, lost: 0, errors, longestGapMs: gap });
    }
    if (results.some(({ errors }) => errors.length > 0)) this.#stage.note(await this.#clients.kernelLog());
    this.#stage.report(results);
  }

  /** By the new holder's log. */
  async #stated(epoch: number): Promise<string> {
    let snapshot: string | null = null;
    await this.#stage.waitFor('the audit names the snapshot', async () => {
      snapshot = statedSnapshot(await this.#stage.lab.entries(), epoch, POOL);
      return snapshot !== null;
    });
    return `${SHARE}@${snapshot ?? ''}`;
  }

  /** The newest that had arrived: the last one that is not of the new holder's own tenure, which its name says. */
  async #newest(epoch: number): Promise<string> {
    const names = [...(await this.#copies.snapshots(this.#stage.standby, SHARE)).values()];
    const newest = names.findLast((name) => !name.endsWith(`-${epoch}`));
    if (newest === undefined) throw new Error(`${SHARE} has no snapshot of the old holder`);
    return newest;
  }

  async #compareRecords(version: Version, cut: Cut, { stated, newest }: Origin): Promise<ClientResult> {
    const { standby } = this.#stage;
    const acknowledged = await this.#clients.acknowledged(version);
    const atCut = acknowledged.filter(({ uptimeS }) => uptimeS <= cut.oldHolderUntilS).map(numberOf);
    const file = this.#file('records', version);
    const missing = (content: Buffer): readonly number[] => lostOf(version, acknowledged, content);
    const inTheEnd = await this.#copies.must(standby, `base64 -w0 ${SHARE_MOUNT}/${file}`);
    const { window, onlyOnOldHolder, lost } = judge({
      acknowledged: acknowledged.map(numberOf),
      beforeSnapshot: cut.beforeSnapshot[version],
      atCut,
      missing: {
        inStated: missing(await this.#copies.read(standby, stated, file)),
        inNewest: missing(await this.#copies.read(standby, newest, file)),
        inTheEnd: missing(Buffer.from(inTheEnd.trim(), 'base64')),
      },
    });
    const after = acknowledged.length - atCut.length;
    this.#stage.note(
      `${version}: ${atCut.length} records before the power cut, ${window.length} of them after ${stated}: ${onlyOnOldHolder.length} are on the old holder only; ${after} records afterwards`,
    );
    this.#stage.expect(
      lost.length === 0,
      `${version}: ${lost.length} records are lost beside that, the first is ${lost[0]}`,
    );
    // Without this nothing about the window was tried.
    this.#stage.expect(onlyOnOldHolder.length > 0, `${version}: the old holder had nothing of its own`);
    this.#stage.expect(
      newest !== stated || onlyOnOldHolder.length === window.length,
      `${version}: ${window.length} records are in the window, and ${onlyOnOldHolder.length} are gone`,
    );
    const errors = await this.#clients.errors(version);
    this.#expectOnlyOf(version, errors, new Set(onlyOnOldHolder));
    return {
      way: version,
      acknowledged: acknowledged.length,
      lost: lost.length,
      onlyOnOldHolder: onlyOnOldHolder.length,
      errors,
      longestGapMs: longestGapMs(acknowledged),
    };
  }

  /** A writer that was about to read back what the old holder had acknowledged does not find it. No other error may be. */
  #expectOnlyOf(version: Version, errors: readonly string[], gone: ReadonlySet<number>): void {
    const others = errors.filter((error) => !gone.has(recordRead(error) ?? 0));
    for (const error of errors)
      if (!others.includes(error)) this.#stage.note(`${version}: of a record that is gone: ${error}`);
    this.#stage.expect(others.length === 0, `${version}: ${others.length} errors, the first: ${others[0]}`);
  }

  /** Of a file that the copy does not have, a client that has it open gets an error, and never something else in its place. */
  async #compareLate(version: Version, newest: string): Promise<void> {
    const copy = await this.#copies.read(this.#stage.standby, newest, this.#file('late', version));
    let errors: readonly string[] = [];
    const isSaid = async (): Promise<boolean> => {
      errors = await this.#clients.errors(`${version}-late`);
      return copy.length > 0 || errors.length > 0;
    };
    await this.#stage.waitFor(`the client of ${version} knows that a file is gone`, isSaid);
    const where = copy.length > 0 ? 'before' : 'after';
    this.#stage.note(
      `${version}: an open file that was made ${where} the newest snapshot: ${errors[0] ?? 'read without an error'}`,
    );
    const isOther = errors.some((error) => !hasReadNothing(error));
    this.#stage.expect(!isOther, `${version}: instead of a file that is gone something else was read`);
  }

  /** The changed file, as the client sees it through its cache, is what the server has: also its size. */
  async #compareViews(version: Version): Promise<void> {
    const file = `${SHARE_MOUNT}/${this.#file('records', version)}`;
    const seen = await this.#seenBy(version);
    const there = await this.#copies.must(
      this.#stage.standby,
      `echo "$(stat -c %s ${file}) $(md5sum <${file} | cut -d' ' -f1)"`,
    );
    this.#stage.expect(
      seen === there.trim(),
      `${version}: the client sees ${seen} (size, checksum) of its records, the server has ${there.trim()}`,
    );
  }

  async #seenBy(version: Version): Promise<string> {
    return (await this.#clients.run(['seen', version, this.#run], LIMIT_MS)).trim();
  }

  async #inodes(node: 'a' | 'b'): Promise<string> {
    const files = VERSIONS.map((version) => `${SHARE_MOUNT}/${this.#file('blocks', version)}`);
    return (await this.#copies.must(node, `stat -c %i ${files.join(' ')}`)).trim().replaceAll('\n', ' ');
  }

  async #numbers(): Promise<Numbers> {
    const [nfs4 = [], nfs3 = []] = await Promise.all(
      VERSIONS.map(async (version) =>
        (await this.#clients.acknowledged(version)).map(({ number }) => number),
      ),
    );
    return { nfs4, nfs3 };
  }
}

const numberOf = ({ number }: Acknowledgement): number => number;
