/**
 * What somebody should look at, by what the agent knows anyway. Pure. A sentence each, without numbers that change by themselves: it is read
 * aloud when it appears. `key` names the same warning as long as it lasts.
 */
import type { ProcessFacts } from '../metrics.ts';
import type { RoleAnswer } from '../role-checks.ts';
import type { PageState, StatusFacts } from './state.ts';

/** `bad`: clients wait, or the next failure will stop them. `note`: somebody wanted it so. */
export type Severity = 'bad' | 'warning' | 'note';

export interface Warning {
  readonly key: string;
  readonly severity: Severity;
  readonly text: string;
}

export type WarningFacts = Omit<PageState, 'warnings'> & {
  readonly facts: StatusFacts;
  readonly process: ProcessFacts;
  readonly health: RoleAnswer;
};

const DAY_MS = 86_400_000;
/** As the alert rules have it. */
const EXPIRY_NOTICE_MS = 30 * DAY_MS;

const ORDER: readonly Severity[] = ['bad', 'warning', 'note'];

export function warningsOf(facts: WarningFacts): Warning[] {
  if (facts.nodes.length === 0)
    return [
      bad('new', 'The cluster has not begun: run "quorate bootstrap --in-sync NODE…" on one of its nodes.'),
    ];
  return [
    ...holdingWarnings(facts),
    ...ownWarnings(facts),
    ...copyWarnings(facts),
    ...poolWarnings(facts),
    ...nodeWarnings(facts),
    ...resourceWarnings(facts),
    ...certificateWarnings(facts),
  ].sort((one, other) => ORDER.indexOf(one.severity) - ORDER.indexOf(other.severity));
}

function holdingWarnings({ holding, quorum, paused, takeovers, observer }: WarningFacts): Warning[] {
  const [last] = takeovers;
  return [
    ...(holding.kind === 'nobody' ? [bad('nobody', `Nobody holds: ${holding.why}.`)] : []),
    ...(holding.kind === 'unknown' ? [bad('unknown', `It is not known who holds: ${holding.why}.`)] : []),
    ...(quorum === false ? [bad('quorum', `${observer} knows of no majority of the voters.`)] : []),
    ...(paused ? [note('paused', 'Paused: there is no automatic takeover until somebody resumes it.')] : []),
    ...(last?.result === 'failed'
      ? [
          warning(
            `failed-${last.epoch}`,
            `The last takeover, by ${last.node} (epoch ${last.epoch}), did not succeed.`,
          ),
        ]
      : []),
  ];
}

/** Of the node that tells. */
function ownWarnings({ observer, health, disk, ioSuspended, facts }: WarningFacts): Warning[] {
  const unwell = health.ok ? [] : [bad('health', `${observer} is not well: ${health.reason}.`)];
  return [
    ...unwell,
    ...(disk === 'failed' ? [bad('disk', `The replicated disk of ${observer} has failed.`)] : []),
    ...(ioSuspended === true
      ? [
          bad(
            'suspended',
            `Writes on ${observer} are held back until the other node is known to be out (H3).`,
          ),
        ]
      : []),
    ...(facts.failedChecks ?? []).map((check) =>
      warning(`check-${check}`, `A check of ${observer} has failed: ${check}. "quorate doctor" says more.`),
    ),
  ];
}

function copyWarnings({ nodes, holding }: WarningFacts): Warning[] {
  const outdated = nodes.filter(({ inSync }) => inSync === false);
  const copies = nodes.filter(({ inSync }) => inSync === true);
  return [
    ...outdated.map(({ id }) =>
      warning(`outdated-${id}`, `${id} is not in the in-sync set: it cannot take over (H1).`),
    ),
    ...(outdated.length > 0 && copies.length === 1
      ? [bad('redundancy', `Only ${copies[0]?.id} has the current data: nobody could take over from it.`)]
      : []),
    ...nodes
      .filter(({ mirror, inSync }) => mirror === 'not-in-sync' && inSync === true)
      .filter(() => holding.kind === 'held')
      .map(({ id }) => warning(`mirror-${id}`, `The mirror to ${id} is not in sync now.`)),
  ];
}

/** A stream that has failed once is tried again, and told when the copy is late by it. */
function poolWarnings({ replication, observer }: WarningFacts): Warning[] {
  return replication.flatMap(({ pool, peer, conflicts, late, byItself }) => [
    ...(conflicts === 0
      ? []
      : [
          warning(
            `conflict-${pool}`,
            `Snapshots of ${pool} are in conflict with what ${peer} has: nothing is sent of that until somebody has looked.`,
          ),
        ]),
    ...(late === 0 ? [] : [warning(`late-${pool}`, `The copy of ${pool} on ${peer} is late.`)]),
    ...(byItself === 'too-old'
      ? [
          warning(
            `loss-${pool}`,
            `${observer} would not take over by itself: its copy of ${pool} is older than max_data_loss, or not known.`,
          ),
        ]
      : []),
  ]);
}

function nodeWarnings({ nodes, observer }: WarningFacts): Warning[] {
  return nodes.flatMap(({ id, link, answers, standby, role }) => [
    ...(link === 'down' ? [warning(`link-${id}`, `${id} cannot be reached from ${observer}.`)] : []),
    ...(link === 'up' && answers === false
      ? [warning(`silent-${id}`, `${id} is connected, and answers no heartbeats.`)]
      : []),
    ...(role === 'damaged'
      ? [bad(`damaged-${id}`, `The log of ${id} is damaged: it does not vote (D2).`)]
      : []),
    ...(standby ? [note(`standby-${id}`, `${id} is on standby: it takes nothing over.`)] : []),
  ]);
}

function resourceWarnings({ resources, holding, observer, facts }: WarningFacts): Warning[] {
  const isHolder = holding.kind === 'held' && holding.isTaken && holding.node === observer;
  return [
    ...facts.metrics.role.degraded.map((why, at) => bad(`degraded-${at}`, `Degraded: ${why}.`)),
    ...(resources === null
      ? [
          warning(
            'unread',
            `What the resources of ${observer} are like is not known: its executor does not tell.`,
          ),
        ]
      : []),
    ...(resources ?? [])
      .filter(({ probe }) => isHolder && probe !== 'held')
      .map(({ name, probe }) =>
        probe === 'unknown'
          ? warning(`resource-${name}`, `Whether ${name} is held is not known.`)
          : bad(`resource-${name}`, `${name} is not held, although ${observer} holds.`),
      ),
  ];
}

function certificateWarnings({ process, facts, observer }: WarningFacts): Warning[] {
  const { refused } = process.certificates;
  const unused =
    refused === null
      ? []
      : [
          bad(
            'certificate-refused',
            `The TLS files of ${observer} were changed and are not used: ${refused}.`,
          ),
        ];
  const ending = (['node', 'ca'] as const).flatMap((which) => {
    const leftMs = process.certificates[which] - facts.wallMs;
    if (leftMs >= EXPIRY_NOTICE_MS) return [];
    const whose = which === 'node' ? `The certificate of ${observer}` : 'The certificate authority';
    const day = new Date(process.certificates[which]).toISOString().slice(0, 10);
    return leftMs <= 0
      ? [bad(`certificate-${which}`, `${whose} has expired on ${day}.`)]
      : [warning(`certificate-${which}`, `${whose} expires on ${day}.`)];
  });
  return [...unused, ...ending];
}

const bad = (key: string, text: string): Warning => ({ key, severity: 'bad', text });
const warning = (key: string, text: string): Warning => ({ key, severity: 'warning', text });
const note = (key: string, text: string): Warning => ({ key, severity: 'note', text });
