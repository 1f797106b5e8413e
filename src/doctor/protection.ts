/** What stands between two holders, all in all: what is not there was chosen by somebody, and is said with its price. */

import { dataNodes } from '../config/index.ts';
import { isWitness, resourcesOf } from './ask.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, warning } from './report.ts';

export const protectionCheck: Check = {
  name: 'protection',
  about: 'what keeps an old holder from going on: watchdog, DRBD, fencing, a third voter',
  isAlone: false,
  isHarmless: true,
  limitMs: 1000,
  run: async ({ config }) => {
    const voters = voterFinding(config);
    if (isWitness(config)) return [voters, skipped('write fence', 'a witness holds nothing (W1)')];
    return [voters, writeFence(config), fencing(config)];
  },
};

type Config = CheckContext['config'];

function voterFinding(config: Config): Finding {
  const subject = 'voters';
  const count = config.members.length;
  if (count === 1) return ok(subject, 'one node: it holds, and nobody takes over');
  if (count === 2)
    return warning(
      subject,
      'two voters: neither can take over from the other without it',
      'Add a witness in another zone.',
    );
  const holders = dataNodes(config).length;
  const detail = `${count} voters, ${holders} of them may hold`;
  return count % 2 === 0
    ? warning(subject, `${detail}; the last one adds no safety`, 'Use an odd number of voters.')
    : ok(subject, detail);
}

/** H2: a watchdog, or the block layer; without both only the log's proof of a release. */
function writeFence(config: Config): Finding {
  const subject = 'write fence';
  const { mode } = config.watchdog;
  const resources = resourcesOf(config);
  if (resources.length === 0) return skipped(subject, 'nothing is held');
  if (dataNodes(config).length < 2) return ok(subject, 'there is no other holder');
  const hasDrbd = resources.some(({ kind }) => kind === 'drbd');
  if (mode === 'off' && !hasDrbd)
    return warning(
      subject,
      'neither watchdog nor DRBD: a host that hangs and comes back serves beside its successor until its own executor runs again (H2)',
      'Set watchdog.mode to required; softdog will do.',
    );
  if (mode === 'off')
    return warning(
      subject,
      'DRBD alone: a host that hangs and comes back can serve stale reads and hold the address beside its successor (H2)',
      'Set watchdog.mode to required; softdog will do.',
    );
  if (mode === 'automatic' && !hasDrbd)
    return warning(
      subject,
      'the watchdog only where there is one, and no DRBD: without one, nobody takes over from a dead holder (H2)',
      'Set watchdog.mode to required.',
    );
  return ok(subject, hasDrbd ? `watchdog (${mode}) and DRBD` : `watchdog (${mode})`);
}

/** R5. Which instance is a node's stands beside `ec2_stop`; without it nothing can be stopped. */
function fencing(config: Config): Finding {
  const subject = 'fencing';
  const { ec2Stop, instances } = config.fencing;
  if (ec2Stop === 'off') return ok(subject, 'the old instance is left alone (ec2_stop: off)');
  if (ec2Stop === 'after' && !usesCloud(config)) return skipped(subject, 'there is no cloud to ask');
  const missing = dataNodes(config).filter(({ id }) => instances[id] === undefined);
  if (missing.length === 0) return ok(subject, `the old instance is stopped (ec2_stop: ${ec2Stop})`);
  const detail = `ec2_stop is ${ec2Stop}, but no instance is named for ${missing.map(({ id }) => id).join(', ')}`;
  const remedy = 'Name the instance of every data node in fencing.instances, or set fencing.ec2_stop to off.';
  return ec2Stop === 'before'
    ? failed(subject, `${detail}: a takeover that needs the proof would never get it (R5)`, remedy)
    : warning(subject, `${detail}: nothing will be stopped`, remedy);
}

const usesCloud = (config: Config): boolean => config.cloud.region !== null || config.cloud.endpoint !== null;
