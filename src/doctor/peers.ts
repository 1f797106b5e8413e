/**
 * Asks every peer's agent about itself: are config and versions the same everywhere, and how long does a round trip take
 * on a connection as the heartbeats use it.
 */
import {
  type ConfigFingerprint,
  configFingerprint,
  FINGERPRINT_PARTS,
  type FingerprintPart,
  type MemberConfig,
  WITNESS_PARTS,
} from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import { HOST_ID_FILE, readHostId } from '../host-id.ts';
import type { FactsAnswer } from '../peer/index.ts';
import { VERSION } from '../version.ts';
import { isWitness, ofKind } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';
import { summaryOf } from './statistics.ts';

const TIMES = 10;
const LIMIT_MS = 4000;
/** For the audit's times only: nothing is decided by wall clocks (T3). */
const MAX_WALL_APART_MS = 1000;

export const peersCheck: Check = {
  name: 'peers',
  about: 'config and versions equal on all nodes, and round trips between the agents',
  isAlone: true,
  isHarmless: true,
  limitMs: 10_000,
  run: async (context) => {
    const { config } = context;
    const others = config.members.filter(({ id }) => id !== config.node);
    if (others.length === 0) return [skipped('peers', 'this cluster has one member')];
    const own = configFingerprint(config);
    const findings = await Promise.all(others.map((peer) => ofPeer(context, peer, own)));
    return findings.flat();
  },
};

async function ofPeer(
  context: CheckContext,
  peer: MemberConfig,
  own: ConfigFingerprint,
): Promise<readonly Finding[]> {
  const { askFacts, signal } = context;
  let answers: readonly FactsAnswer[];
  try {
    answers = await askFacts({ address: peer.peer, node: peer.id, times: TIMES, limitMs: LIMIT_MS, signal });
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return [
      unknown(`agent ${peer.id}`, error.message, 'Start its agent, of the same version, and ask again.'),
    ];
  }
  const [first] = answers;
  if (first === undefined) return [unknown(`agent ${peer.id}`, `${peer.id} did not answer`)];
  return [
    trips(context, peer, answers),
    versions(peer, first.facts.version),
    ...sameConfig(context, peer, own, first.facts.config),
    wallClock(peer, answers),
    ...(await hostIds(context, peer, first.facts.hostId)),
  ];
}

function trips({ config }: CheckContext, { id }: MemberConfig, answers: readonly FactsAnswer[]): Finding {
  const subject = `agent ${id}`;
  const ms = answers.map(({ roundTripMs }) => roundTripMs);
  const summary = summaryOf(ms);
  if (summary === null) return unknown(subject, `${id} did not answer`);
  const { heartbeatMs } = config.timing;
  const detail = `answers in ${summary.p50} ms usually, ${summary.max} ms at worst of ${summary.count}`;
  const measured = { kind: 'round-trips', over: 'agent', ms } as const;
  return summary.max <= heartbeatMs
    ? { ...ok(subject, detail), measured }
    : {
        ...warning(
          subject,
          `${detail}, longer than a heartbeat of ${heartbeatMs} ms`,
          'Check the load of both hosts and the link; or choose a longer heartbeat and lease.',
        ),
        measured,
      };
}

function versions({ id }: MemberConfig, version: string): Finding {
  const subject = `version of ${id}`;
  return version === VERSION
    ? ok(subject, `quorate ${version}, as here`)
    : warning(
        subject,
        `quorate ${version}, here it is ${VERSION}`,
        'Bring all nodes to one version, the holder last.',
      );
}

/** Between a witness and anybody only the parts count that a witness has. */
export function sameConfig(
  { config }: Pick<CheckContext, 'config'>,
  peer: Pick<MemberConfig, 'id' | 'witness'>,
  own: ConfigFingerprint,
  theirs: Readonly<Record<string, string>>,
): readonly Finding[] {
  const isShort = peer.witness || isWitness(config);
  const parts = FINGERPRINT_PARTS.filter((part) => !isShort || WITNESS_PARTS.has(part));
  const unsaid = parts.filter((part) => theirs[part] === undefined);
  const differ = parts.filter((part) => theirs[part] !== undefined && theirs[part] !== own[part]);
  const mild = differ.filter((part) => MILD[part] !== undefined);
  const grave = differ.filter((part) => MILD[part] === undefined);
  const subject = `config of ${peer.id}`;
  if (grave.length > 0)
    return [
      failed(
        subject,
        `differs from this node's in ${list([...grave, ...mild])}`,
        'Make these sections equal on all nodes, and restart the agents one by one, the holder last.',
      ),
    ];
  if (unsaid.length > 0)
    return [unknown(subject, `${peer.id} does not say ${list(unsaid)}: another version`)];
  if (mild.length > 0)
    return [
      warning(
        subject,
        `differs from this node's in ${list(mild)}: ${mild.map((part) => MILD[part]).join('; ')}`,
        'Make these sections equal on all nodes.',
      ),
    ];
  return [ok(subject, `the same as here in ${parts.length} parts`)];
}

/** Parts that may differ without harm now, and why. */
const MILD: Readonly<Partial<Record<FingerprintPart, string>>> = {
  timing: "the log's timing rules, the file's counts at the next bootstrap (L8)",
  addresses: 'right only where nodes reach each other by different addresses',
};

const list = (parts: readonly string[]): string => parts.map((part) => `"${part}"`).join(', ');

/** ZFS takes a host with the same id for itself, and imports what that one has in use. */
async function hostIds(
  { config, files }: CheckContext,
  { id, witness }: MemberConfig,
  theirs: string | null,
): Promise<readonly Finding[]> {
  if (witness || ofKind(config, 'zfs-pool').length === 0) return [];
  const subject = `host id of ${id}`;
  const own = readHostId(await files.read(HOST_ID_FILE));
  if (own === null || theirs === null)
    return [
      unknown(
        subject,
        `the host id of ${own === null ? 'this node' : id} is not set, or the module zfs is not loaded there`,
        'Run "zgenhostid" on each node, then "modprobe zfs", and ask again.',
      ),
    ];
  return own === theirs
    ? [failed(subject, `is ${theirs}, as here`, 'Run "zgenhostid -f" on one of them, and reboot it.')]
    : [ok(subject, `is ${theirs}, here it is ${own}`)];
}

/** By the quickest round trip, which leaves the least doubt. */
function wallClock({ id }: MemberConfig, answers: readonly FactsAnswer[]): Finding {
  const subject = `wall clock of ${id}`;
  const [best] = answers.toSorted((left, right) => left.roundTripMs - right.roundTripMs);
  if (best === undefined) return unknown(subject, `${id} did not answer`);
  const apartMs = Math.round(best.facts.wallMs - (best.askedAtMs + best.roundTripMs / 2));
  const detail = `${Math.abs(apartMs)} ms ${apartMs < 0 ? 'behind' : 'ahead'}`;
  return Math.abs(apartMs) <= MAX_WALL_APART_MS
    ? ok(subject, detail)
    : warning(subject, `${detail}: the times in the audit will not fit together`, 'Check NTP on both nodes.');
}
