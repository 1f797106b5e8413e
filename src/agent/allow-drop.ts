/**
 * An operator's word that a node may destroy what a change of roles has kept there (`quorate replication diverged drop`). This writes it
 * down, with who said it; what it is about is on that node only, and is judged there.
 */
import type { AllowDropOrder } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type Config, dataNodes } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import { dropText } from '../state/index.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';

const MAX_DATASETS = 12;
const COMMIT_LIMIT_MS = 60_000;
/** Below `.diverged` of a pool, with the GUID that it has there. */
const KEPT = /^[A-Za-z][A-Za-z0-9_.:-]*\/\.diverged\/[A-Za-z0-9_.: /-]{1,240}=[1-9]\d{0,19}$/;

export interface AllowDropParts {
  readonly config: Config;
  readonly driver: Pick<Driver, 'commit'>;
  readonly clock: Pick<Clock, 'wallMs'>;
}

/** Of the leader; the caller has looked. Throws `usage`. */
export async function allowDrop(
  { node, datasets, who, why }: AllowDropOrder,
  { config, driver, clock }: AllowDropParts,
): Promise<{ readonly index: number }> {
  if (!dataNodes(config).some(({ id }) => id === node))
    throw new QuorateError('usage', `${node} is no data node`);
  const wrong = datasets.find((one) => !KEPT.test(one));
  if (wrong !== undefined || datasets.length === 0 || datasets.length > MAX_DATASETS)
    throw new QuorateError(
      'usage',
      wrong === undefined
        ? `${datasets.length} datasets: 1 to ${MAX_DATASETS} go into one entry`
        : `"${wrong}" is not DATASET=GUID of something below .diverged: "quorate replication diverged drop" on ${node} says the words`,
    );
  const action = `${dropText(node, datasets)}${reasonOf(why) || 'no reason given'})`;
  const index = await driver.commit({ kind: 'operator', who, action, at: clock.wallMs() }, COMMIT_LIMIT_MS);
  return { index };
}
