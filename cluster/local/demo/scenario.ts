/** The events of the demo: what is done to the holder, what is waited for, and what was measured. */
import type { AuditDocument } from '../../../src/state/index.ts';
import type { LocalCluster } from '../cluster.ts';
import type { Writer } from './writer.ts';

export interface DemoEvent {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** Last sign of the old holder → campaign; null where nothing was elected. */
  readonly detectMs: number | null;
  readonly electMs: number | null;
  readonly takeoverMs: number | null;
  /** Longest time in which the client got no acknowledgement. */
  readonly outageMs: number;
}

export interface Stage {
  readonly cluster: LocalCluster;
  readonly writer: Writer;
  readonly say: (text: string) => void;
}

const MOVE_LIMIT_MS = 20_000;
const HEALTHY_LIMIT_MS = 30_000;
/** Writes after an event, so that its outage is seen to its end. */
const SETTLE_WRITES = 20;
const BRIEF_FREEZE_MS = 200;
const CUT_MS = 2_500;

interface Holder {
  readonly node: string;
  readonly epoch: number;
}

/** The tenure whose takeover is complete, as the best informed agent says; null while there is none. */
async function holderSeen({ cluster }: Stage): Promise<Holder | null> {
  const answers = await Promise.allSettled([...cluster.nodes.keys()].map((id) => cluster.status(id)));
  const seen = answers
    .flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    .filter((status) => status.holder !== null && status.lastTakeover?.epoch === status.epoch)
    .sort((left, right) => right.term - left.term || right.commitIndex - left.commitIndex)[0];
  if (seen?.holder == null || seen.epoch === null || seen.lastTakeover?.totalMs == null) return null;
  return { node: seen.holder, epoch: seen.epoch };
}

async function currentHolder(stage: Stage): Promise<Holder> {
  let holder: Holder | null = null;
  await stage.cluster.waitFor(
    'a holder',
    async () => {
      holder = await holderSeen(stage);
      return holder !== null;
    },
    MOVE_LIMIT_MS,
  );
  if (holder === null) throw new Error('no holder');
  return holder;
}

/** Everybody up, both copies in sync, by the block devices and by the log. */
export async function healthy(stage: Stage): Promise<void> {
  const { cluster } = stage;
  await cluster.waitFor(
    'a healthy cluster',
    async () => {
      const holder = await holderSeen(stage);
      if (holder === null || !(await cluster.isReplicating())) return false;
      const status = await cluster.status(holder.node);
      return status.nodes.every(
        (node) => node.reachable === true && node.inSync !== false && node.matchIndex === status.commitIndex,
      );
    },
    HEALTHY_LIMIT_MS,
  );
}

async function measured(
  stage: Stage,
  name: string,
  before: Holder,
  began: number,
  after: Holder,
): Promise<DemoEvent> {
  const { cluster, writer } = stage;
  const enough = writer.acknowledged + SETTLE_WRITES;
  await cluster.waitFor('the client writes again', () => writer.acknowledged >= enough, MOVE_LIMIT_MS);
  const outageMs = writer.outageMs(began, performance.now());
  const moved = after.epoch !== before.epoch;
  const term = moved
    ? (await auditOf(stage, after.node)).terms.findLast(({ leader }) => leader === after.node)
    : undefined;
  const takeover = moved ? (await cluster.status(after.node)).lastTakeover : null;
  const event: DemoEvent = {
    name,
    from: before.node,
    to: after.node,
    detectMs: term?.detectMs ?? null,
    electMs: term?.electMs ?? null,
    takeoverMs: takeover?.totalMs ?? null,
    outageMs,
  };
  stage.say(
    moved
      ? `${after.node} holds (epoch ${after.epoch}); the client waited ${outageMs.toFixed(0)} ms`
      : `${after.node} still holds; the client waited ${outageMs.toFixed(0)} ms at most`,
  );
  return event;
}

export async function auditOf({ cluster }: Stage, node: string): Promise<AuditDocument> {
  const result = await cluster.quorate(node, ['audit', '--json']);
  if (result.stdout === '') throw new Error(`quorate audit failed: ${result.stderr}`);
  return JSON.parse(result.stdout) as AuditDocument;
}

type Act = (stage: Stage, holder: Holder) => Promise<void>;

/** Does it, waits for a new holder, repairs, and waits until all is well. */
async function moving(stage: Stage, name: string, act: Act, repair: Act): Promise<DemoEvent> {
  const before = await currentHolder(stage);
  const began = performance.now();
  await act(stage, before);
  let after = before;
  await stage.cluster.waitFor(
    'another holder',
    async () => {
      after = (await holderSeen(stage)) ?? before;
      return after.epoch > before.epoch;
    },
    MOVE_LIMIT_MS,
  );
  const event = await measured(stage, name, before, began, after);
  await repair(stage, before);
  await healthy(stage);
  return event;
}

/** Does it, repairs, and sees that nothing moved. */
async function staying(stage: Stage, name: string, act: Act, repair: Act): Promise<DemoEvent> {
  const before = await currentHolder(stage);
  const began = performance.now();
  await act(stage, before);
  await repair(stage, before);
  await healthy(stage);
  return measured(stage, name, before, began, await currentHolder(stage));
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const nothing: Act = async () => {};

/** Every event, in the order of the demo. */
export const EVENTS: readonly ((stage: Stage) => Promise<DemoEvent>)[] = [
  (stage) => moving(stage, 'planned switchover', switchOver, nothing),
  (stage) =>
    moving(
      stage,
      'agent killed',
      async ({ cluster, say }, { node }) => {
        say(`kill -9 of the agent of ${node}`);
        cluster.killAgent(node);
      },
      ({ cluster }, { node }) => cluster.startAgent(node),
    ),
  (stage) =>
    moving(
      stage,
      'power cut',
      async ({ cluster, say }, { node }) => {
        say(`power cut: kill -9 of everything on ${node}`);
        await cluster.powerOff(node);
      },
      ({ cluster }, { node }) => cluster.boot(node),
    ),
  (stage) =>
    staying(
      stage,
      'frozen briefly',
      async ({ cluster, say }, { node }) => {
        say(`SIGSTOP of everything on ${node} for ${BRIEF_FREEZE_MS} ms`);
        cluster.freeze(node);
        await sleep(BRIEF_FREEZE_MS);
      },
      async ({ cluster }, { node }) => cluster.thaw(node),
    ),
  (stage) => moving(stage, 'frozen for long', freezeForLong, nothing),
  (stage) =>
    moving(
      stage,
      'holder cut off',
      async ({ cluster, say }, { node }) => {
        say(`${node} is cut off from both others`);
        await cluster.isolate(node);
      },
      ({ cluster }) => cluster.healAll(),
    ),
  (stage) =>
    staying(
      stage,
      'witness lost',
      async ({ cluster, say }) => {
        say('the witness loses its power');
        await cluster.powerOff('w');
        await sleep(CUT_MS);
      },
      async ({ cluster, say }) => {
        say('the witness is back');
        await cluster.boot('w');
      },
    ),
  (stage) =>
    staying(
      stage,
      'replication cut',
      async ({ cluster, say }) => {
        const [a = '', b = ''] = cluster.dataNodes;
        say(`the link between ${a} and ${b} is cut; both still reach the witness`);
        await Promise.all([cluster.cut(a, b), cluster.cut(b, a)]);
        await sleep(CUT_MS);
      },
      async ({ cluster, say }) => {
        say('the link is healed');
        await cluster.healAll();
      },
    ),
];

async function switchOver({ cluster, say }: Stage, { node }: Holder): Promise<void> {
  say(`quorate switchover, asked of ${node}`);
  const result = await cluster.quorate(node, ['switchover', '--json']);
  if (result.exit !== 0) throw new Error(`quorate switchover: ${result.stderr}`);
}

/** Beyond the watchdog's patience: it cuts the node's power from outside, and the node comes back by itself. */
async function freezeForLong({ cluster, say }: Stage, { node }: Holder): Promise<void> {
  say(`SIGSTOP of everything on ${node}, for good`);
  const stop = cluster.onEvent((event) => {
    if (event.kind === 'watchdog-fired')
      say(`the watchdog of ${event.node} fires: its power is cut, and it boots`);
    if (event.kind === 'booted') stop();
  });
  cluster.freeze(node);
}
