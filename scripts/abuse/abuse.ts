/** The listeners of a live cluster under abuse, and what it cost: by the agents' own records. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LocalCluster } from '../../cluster/local/cluster.ts';
import { PORT } from '../../cluster/local/plan.ts';
import { AdminClient } from '../../src/admin/index.ts';
import { nodeId } from '../../src/core/index.ts';
import { createAuthority, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import {
  frames,
  garbage,
  httpRequests,
  idle,
  type Listener,
  messages,
  mutated,
  slowReaders,
  type Tally,
  type Victim,
  wrongCertificates,
} from './attacks.ts';
import { startReceiver } from './receiver.ts';

export interface AbuseReport {
  readonly victim: string;
  readonly heartbeatMs: number;
  /**
   * The longest between two heartbeats of the holder, as a follower's `inspect` records them. `quiet`: what the machine alone costs,
   * before and after.
   */
  readonly gapMs: { readonly quiet: number; readonly abused: number; readonly seen: number };
  /** Resident memory of the victim's agent. */
  readonly memoryMb: { readonly before: number; readonly highest: number; readonly after: number };
  readonly terms: readonly [before: number, after: number];
  readonly epochs: readonly [before: number | null, after: number | null];
  /** Of the receiver of its replication. */
  readonly receiverMb: { readonly before: number; readonly highest: number; readonly after: number };
  /** The processes of every agent are those that they were, and the receiver is still there. */
  readonly isAlive: boolean;
  /** Entries of the log for one order that was given so many times with one id. */
  readonly replays: { readonly given: number; readonly entries: number };
  readonly thrown: number;
  /** `gapMs`: the longest between two heartbeats while it lasted. */
  readonly attacks: Readonly<Record<string, { readonly ends: Tally; readonly gapMs: number }>>;
  readonly seconds: number;
}

const SAMPLE_MS = 200;
/** Before and after, for the whole; at least a fifth of it. */
const QUIET_MS = 15_000;
const STATUS = '/quorate.v1.Admin/Status';
const LARGE_BYTES = 5 * 1024 * 1024;
const SERVICE = { peer: 'Peer', admin: 'Admin', http: '', replication: 'Replication' } as const;

/** `share` of the whole: 1 is 10,000 messages and 1,000 idle connections. Everybody must be up; the holder is the victim. */
export async function abuse(
  cluster: LocalCluster,
  holder: string,
  share: number,
  say: (line: string) => void,
): Promise<AbuseReport> {
  const began = performance.now();
  const directory = dirname(dirname(cluster.configFile(holder)));
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  const known: TlsMaterial = { ca: read('ca.pem'), cert: read('operator.pem'), key: read('operator.key') };
  const other = cluster.dataNodes.find((id) => id !== holder) ?? holder;
  const stranger = await issueNode(await createAuthority('elsewhere'), other, {});
  const { host1: host } = cluster.plan(holder);
  const others = dirname(dirname(cluster.configFile(other)));
  const ofOther = (name: string): string => readFileSync(join(others, other, name), 'utf8');
  const program = join(cluster.settings.dist, 'receiver.mjs');
  const receiver = await startReceiver(program, cluster.configFile(holder), holder, host);
  const victim: Victim = {
    listeners: {
      peer: { name: 'peer', host, port: PORT.peer },
      admin: { name: 'admin', host, port: PORT.admin },
      http: { name: 'http', host, port: PORT.http },
      replication: receiver.listener,
    },
    known,
    other: { ca: known.ca, cert: ofOther('node.pem'), key: ofOther('node.key') },
    stranger: { ca: known.ca, cert: stranger.certificate, key: stranger.key },
  };
  const pids = () => [...cluster.nodes.values()].map((node) => node.pid('agent')).join();
  const pid = cluster.node(holder).pid('agent');
  const [pidsBefore, before] = [pids(), await cluster.status(holder)];
  const watching = new AbortController();
  const gaps = new Gaps();
  const watch = gaps.watch(
    new AdminClient({ address: `${cluster.plan(other).host1}:${PORT.admin}`, tls: known, who: 'abuse' }),
    ...([holder, watching.signal] as const),
  );
  const isQuiet = (): Promise<number> => quietGap(gaps, share);
  const quietBefore = await isQuiet();
  const memoryBefore = memoryOf(pid);
  const receiverBefore = memoryOf(receiver.pid);
  let [highest, receiverHighest] = [memoryBefore, receiverBefore];
  const sampling = setInterval(() => {
    highest = Math.max(highest, memoryOf(pid));
    if (receiver.isAlive) receiverHighest = Math.max(receiverHighest, memoryOf(receiver.pid));
  }, SAMPLE_MS);
  const attacks: Record<string, AbuseReport['attacks'][string]> = {};
  let seen = 0;
  let replays: AbuseReport['replays'];
  try {
    await throwAll(victim, share, (name, tally) => {
      const gap = gaps.take();
      seen += gap.seen;
      attacks[name] = { ends: tally, gapMs: gap.longest };
      say(`${name}: ${tallyText(tally)}; ${gap.longest} ms between two heartbeats at most`);
    });
    replays = await replay(cluster, holder, other, known, Math.ceil(50 * share));
  } finally {
    clearInterval(sampling);
  }
  const after = await cluster.status(holder, 5_000);
  const last = gaps.take().longest;
  const quiet = Math.max(quietBefore, await isQuiet());
  watching.abort();
  await watch;
  const isReceiverAlive = receiver.isAlive;
  const receiverAfter = isReceiverAlive ? memoryOf(receiver.pid) : 0;
  await receiver.end();
  return {
    victim: holder,
    heartbeatMs: 100,
    gapMs: { quiet, abused: Math.max(last, ...Object.values(attacks).map(({ gapMs }) => gapMs)), seen },
    memoryMb: { before: memoryBefore, highest, after: memoryOf(pid) },
    terms: [before.term, after.term],
    epochs: [before.epoch, after.epoch],
    receiverMb: { before: receiverBefore, highest: receiverHighest, after: receiverAfter },
    isAlive: isReceiverAlive && pids() === pidsBefore,
    replays,
    thrown: Object.values(attacks)
      .flatMap(({ ends }) => Object.values(ends))
      .reduce((sum, one) => sum + one, 0),
    attacks,
    seconds: (performance.now() - began) / 1000,
  };
}

async function quietGap(gaps: Gaps, share: number): Promise<number> {
  gaps.take();
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS * Math.max(share, 0.2)));
  return gaps.take().longest;
}

async function throwAll(
  { listeners, known, other, stranger }: Victim,
  share: number,
  done: (name: string, tally: Tally) => void,
): Promise<void> {
  const { peer, admin, http, replication } = listeners;
  const of = (count: number): number => Math.ceil(count * share);
  // Kept open while all the rest goes on.
  const held = [];
  for (const [listener, count] of [
    [peer, 500],
    [admin, 250],
    [http, 250],
    [replication, 250],
  ] as const) {
    const waiting = await idle(listener, of(count));
    held.push(waiting);
    done(`idle connections to ${listener.name}`, waiting.tally);
  }
  const slow = await slowReaders(http, of(40));
  done('slow readers of http', slow.tally);
  for (const listener of [peer, admin, http, replication])
    done(`garbage to ${listener.name}`, await garbage(listener, of(1_000)));
  done('mutated requests to http', await httpRequests(http, of(2_000)));
  // Whoever comes from one address has 64 connections of the admin's, which the idle ones hold.
  for (const { end } of [...held, slow]) end();
  for (const listener of [peer, admin, replication]) {
    done(`mutated frames to ${listener.name}`, await frames(listener, known, of(500)));
    done(`wrong certificates to ${listener.name}`, await wrongCertificates(listener, stranger, of(250)));
  }
  const question = (): Buffer => mutated(randomBytes(64));
  const send = async (listener: Listener, tls: TlsMaterial, method: string, by: string): Promise<void> =>
    done(
      `messages to ${listener.name} ${method}, by ${by}`,
      await messages(listener, tls, `/quorate.v1.${SERVICE[listener.name]}/${method}`, of(400), question),
    );
  done('mutated messages to admin', await messages(admin, known, STATUS, of(1_500), question));
  for (const method of ['Facts', 'ReportReleased', 'Bootstrap', 'Heartbeats', 'Nothing'])
    await send(peer, known, method, 'an operator');
  await send(replication, known, 'Read', 'an operator');
  for (const method of ['Read', 'Perform', 'Receive'])
    await send(replication, other, method, 'the other node');
  const large = (): Buffer => Buffer.alloc(LARGE_BYTES, 7);
  for (const [listener, tls, path] of [
    [admin, known, STATUS],
    [peer, known, '/quorate.v1.Peer/Facts'],
    [replication, other, '/quorate.v1.Replication/Read'],
  ] as const)
    done(`oversized messages to ${listener.name}`, await messages(listener, tls, path, of(20), large));
}

/** One order many times at once: it changes nothing that is so already, and is written once. */
async function replay(
  cluster: LocalCluster,
  holder: string,
  other: string,
  tls: TlsMaterial,
  given: number,
): Promise<AbuseReport['replays']> {
  const address = `${cluster.plan(holder).host1}:${PORT.admin}`;
  const client = new AdminClient({ address, tls, who: 'abuse' });
  const requestId = `abuse-${randomBytes(8).toString('hex')}`;
  const order = { node: nodeId(other), standby: false, why: 'abuse', timeoutMs: 10_000, requestId };
  // More than the rate are refused: they have done nothing, and are no mistake.
  await Promise.allSettled(Array.from({ length: given }, () => client.standby(order)));
  const entries = (await client.entries()).filter(
    ({ body }) => body.kind === 'standby' && body.request === requestId,
  ).length;
  client.close();
  return { given, entries };
}

/** From one heartbeat to the next, by the wall clock of who got them. */
class Gaps {
  #last: number | null = null;
  #longest = 0;
  #seen = 0;

  take(): { readonly longest: number; readonly seen: number } {
    const taken = { longest: Math.round(this.#longest), seen: this.#seen };
    this.#longest = 0;
    this.#seen = 0;
    return taken;
  }

  async watch(client: AdminClient, from: string, signal: AbortSignal): Promise<void> {
    const filter = { peers: [from], kinds: ['heartbeat'], direction: 'received', slowerThanMs: 0 };
    try {
      for await (const { items } of client.inspect(filter, signal))
        for (const item of items) {
          // What was not recorded says nothing about when it came.
          if ('dropped' in item) {
            this.#last = null;
            continue;
          }
          if (this.#last !== null) this.#longest = Math.max(this.#longest, item.atMs - this.#last);
          this.#last = item.atMs;
          this.#seen += 1;
        }
    } finally {
      client.close();
    }
  }
}

function memoryOf(pid: number | null): number {
  if (pid === null) return 0;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return Math.round(Number(kib) / 1024);
}

const tallyText = (tally: Tally): string =>
  Object.entries(tally)
    .map(([end, count]) => `${count} ${end}`)
    .join(', ');

/** What of it must not be; empty: nothing. One heartbeat may be missed, besides what the machine itself costs. */
export function faultsOf(report: AbuseReport): string[] {
  const { gapMs, heartbeatMs, memoryMb, receiverMb, terms, epochs, isAlive, replays, attacks } = report;
  const longest = Math.max(2 * heartbeatMs, gapMs.quiet + heartbeatMs);
  const letIn = Object.entries(attacks).filter(
    ([name, { ends }]) => name.startsWith('wrong certificates') && (ends.answered ?? 0) > 0,
  );
  return [
    ...(isAlive ? [] : ['an agent, or the receiver, has ended']),
    ...(terms[0] === terms[1] && epochs[0] === epochs[1] ? [] : ['there was an election, or another tenure']),
    ...(gapMs.seen > 0 ? [] : ['no heartbeat was recorded']),
    ...(gapMs.abused <= longest
      ? []
      : [`${gapMs.abused} ms between two heartbeats, at most ${longest} are right`]),
    ...(memoryMb.highest - memoryMb.before <= MEMORY_MB ? [] : [`memory grew to ${memoryMb.highest} MB`]),
    ...(receiverMb.highest - receiverMb.before <= MEMORY_MB
      ? []
      : [`memory of the receiver grew to ${receiverMb.highest} MB`]),
    ...(replays.entries === 1 ? [] : [`an order that was given again has ${replays.entries} entries`]),
    ...letIn.map(([name]) => `${name}: somebody was answered`),
  ];
}

/** What connections and messages under way may take on top. */
const MEMORY_MB = 150;
