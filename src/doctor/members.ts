/** The log says who the members are and what the timing is; a file that says otherwise misleads people, and a node that starts anew. */
import { memberDifferences } from '../config/index.ts';
import { applyEntry, type ClusterState, EMPTY_STATE, type Entry } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';

export const membersCheck: Check = {
  name: 'members',
  about: 'whether the config file says of members and timing what the cluster goes by',
  isAlone: false,
  // The executor, which runs the others by itself, has no log.
  isHarmless: false,
  limitMs: 5000,
  run: async (context) => {
    let entries: readonly Entry[];
    try {
      entries = await context.entries();
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      return [unknown('members', `the log cannot be read: ${error.message}`)];
    }
    if (entries.length === 0) return [skipped('members', 'there is no log yet: the file counts')];
    const state = entries.reduce(applyEntry, EMPTY_STATE);
    return [ofMembers(context, state), ofTiming(context, state)];
  },
};

function ofMembers({ config }: CheckContext, state: ClusterState): Finding {
  const { node } = config;
  if (state.removed.includes(node))
    return failed('members', `${node} was removed (E5)`, 'Let it join under a new id (docs/members.md).');
  const differ = memberDifferences(config, state);
  return differ.length === 0
    ? ok('members', `the file lists the ${state.members.length} members of the log`)
    : warning('members', differ.join('; '), 'Bring `members` in the config files of all nodes up to date.');
}

function ofTiming({ config }: CheckContext, { timing }: ClusterState): Finding {
  if (timing === null) return unknown('timing', 'the log does not say it');
  const { heartbeatMs, leaseMs, releaseMs } = config.timing;
  const pairs = [
    ['heartbeat', heartbeatMs, timing.heartbeatMs],
    ['lease', leaseMs, timing.leaseMs],
    ['release', releaseMs, timing.releaseMs],
  ] as const;
  const differ = pairs.filter(([, inFile, inForce]) => inFile !== inForce);
  if (differ.length === 0) return ok('timing', 'the file says what the cluster goes by');
  return warning(
    'timing',
    differ
      .map(([name, inFile, inForce]) => `${name}: ${inFile} ms in the file, ${inForce} ms in force (L8)`)
      .join('; '),
    '`quorate settings set` changes what is in force; write the same into the files.',
  );
}
