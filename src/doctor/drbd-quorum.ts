/**
 * DRBD 9's own quorum, with the witness as a diskless tie-breaker, beside ours. Pure. NOT TESTED on a real DRBD 9: judged from its
 * documentation, and every finding says so.
 *
 * What it adds: the kernel stops a Primary that is cut off, even where no agent runs. What it does not do: it counts
 * connections, and knows neither tenure nor in-sync set. So it stands beside the lease and the handler, never for them (H3).
 */
import type { DrbdConfig, DrbdSettings } from './drbd-settings.ts';
import { isOurHandler, only } from './drbd-settings.ts';
import { type Finding, failed, ok, warning } from './report.ts';

const UNTESTED = '(DRBD 9: untested here)';

export interface QuorumJudged {
  readonly resource: string;
  readonly settings: DrbdSettings;
  /** Null where it could not be read: then who takes part is not known. */
  readonly config: DrbdConfig | null;
  readonly witness: string | null;
}

/** Nothing where the quorum is off and nobody takes part without a disk: as with 8.4. */
export function judgeQuorum(judged: QuorumJudged): readonly Finding[] {
  const { resource, settings, config, witness } = judged;
  const quorum = only(settings.quorum, 'off');
  if (quorum === 'off') {
    if (witness === null || config?.hosts.some(({ name }) => name === witness) !== true) return [];
    return [
      warning(
        `${resource} tie-breaker`,
        `${witness} takes part, but quorum is off: it breaks no tie ${UNTESTED}`,
        'In options { quorum majority; on-no-quorum io-error; }, then "drbdadm adjust"; or take the witness out.',
      ),
    ];
  }
  return [tieBreaker(judged, quorum), withoutQuorum(resource, settings), handler(judged)];
}

function tieBreaker({ resource, config, witness }: QuorumJudged, quorum: string): Finding {
  const subject = `${resource} tie-breaker`;
  const remedy =
    'In options { quorum majority; }, and the witness as a third host with "disk none" ("quorate drbd-config --drbd 9" writes it).';
  if (quorum !== 'majority')
    return failed(
      subject,
      `quorum is ${quorum}, not majority: with "all" or a number the loss of the witness alone may stop the holder (W4) ${UNTESTED}`,
      remedy,
    );
  if (config === null)
    return {
      subject,
      result: 'unknown',
      detail: `who takes part stands in the config, which cannot be read ${UNTESTED}`,
      remedy: 'Run the doctor as a user who may run "drbdadm dump".',
    };
  const own = config.hosts.find(({ name }) => name === witness);
  if (own === undefined)
    return warning(
      subject,
      `quorum majority of ${config.hosts.length} hosts, and the cluster's witness is none of them: DRBD and the log may find a majority on different sides ${UNTESTED}`,
      remedy,
    );
  return own.isDiskless
    ? ok(
        subject,
        `${own.name} takes part without a disk: two of ${config.hosts.length} are a majority ${UNTESTED}`,
      )
    : warning(
        subject,
        `${own.name} has a disk in it: every write waits for it too, and it may never hold (W1) ${UNTESTED}`,
        'Give the witness "disk none".',
      );
}

/** Neither lets a write complete without a majority. They differ in what becomes of the writes that are under way. */
function withoutQuorum(resource: string, settings: DrbdSettings): Finding {
  const subject = `${resource} no quorum`;
  const action = only(settings.onNoQuorum, 'suspend-io');
  switch (action) {
    case 'io-error':
      return ok(
        subject,
        `io-error: writes of a Primary that is cut off fail at once, so its release ends in time (D); a cut shorter than the lease costs a takeover, too ${UNTESTED}`,
      );
    case 'suspend-io':
      return warning(
        subject,
        `suspend-io: as safe, and a short cut costs nothing; but writes that hang keep the file system busy, and the release of a holder that is cut off ends by its watchdog ${UNTESTED}`,
        'In options { on-no-quorum io-error; }, then "drbdadm adjust".',
      );
    default:
      return failed(
        subject,
        `on-no-quorum is ${action}: writes go on without a majority ${UNTESTED}`,
        'In options { on-no-quorum io-error; }, then "drbdadm adjust".',
      );
  }
}

function handler({ resource, settings, config }: QuorumJudged): Finding {
  const subject = `${resource} handler`;
  const isFencing = only(settings.fencing, 'dont-care') === 'resource-and-stonith';
  const isOurs =
    config?.fencePeer !== null && config?.fencePeer !== undefined && isOurHandler(config.fencePeer);
  return isFencing && isOurs
    ? ok(subject, `the log is told before writes go on without the peer, besides DRBD's quorum ${UNTESTED}`)
    : warning(
        subject,
        `writes go on without the peer before the log knows that its data is old (H3): until it does, only DRBD itself would keep that node from being promoted ${UNTESTED}`,
        'Besides the quorum: net { fencing resource-and-stonith; } and handlers { fence-peer "quorate fence-peer --config ..."; }.',
      );
}
