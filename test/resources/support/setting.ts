/** What the tests of the cloud's resources have in common. */
import { instant } from '../../../src/core/index.ts';
import { QuorateError } from '../../../src/errors.ts';
import type { AcquireContext } from '../../../src/resources/index.ts';
import { ScriptedCloud } from './scripted-cloud.ts';
import { VirtualClock } from './virtual-clock.ts';

export const OWN = 'eni-46561127';
export const PEER = 'eni-77f0c1aa';
export const STRANGER = 'eni-deadbeef';

export function makeSetting() {
  const clock = new VirtualClock();
  const cloud = new ScriptedCloud(clock);
  const common = { clock, random: () => 0.5, endpoint: 'EC2 in us-east-1' };
  const within = (ms: number, signal = new AbortController().signal): AcquireContext => ({
    deadline: instant(clock.now() + ms),
    signal,
    previousReleased: false,
  });
  return { clock, cloud, common, within };
}

/** The code of the error, or what it was instead. */
export async function failure(acting: Promise<unknown>): Promise<string> {
  try {
    return `no error but ${String(await acting)}`;
  } catch (error) {
    return error instanceof QuorateError ? error.code : String(error);
  }
}
