/**
 * The lab's slower lane: three whole machines, emulated, with the distribution's kernel. Where ZFS's modules are built, on a pool
 * over two volumes, with clients of NFS and iSCSI. Alone on the machine: it runs in real time.
 */
import { describe, expect, it } from 'vitest';
import { whyNoLab, whyNoPackages, whyNoStorage } from '../../../cluster/lab/prerequisites.ts';
import { expectNothingLeft, GOOD, labProgram, resultsOf } from './support.ts';

const why = (await whyNoLab('qemu')) ?? (await whyNoPackages('qemu'));
if (why !== null) console.info(`The scenario on three emulated machines is skipped: ${why}.`);
const whyNoZfs = why ?? (await whyNoStorage('zfs', () => undefined));
if (why === null && whyNoZfs !== null)
  console.info(`ZFS, NFS and iSCSI are skipped on the emulated machines: ${whyNoZfs}.`);

const RUN_LIMIT_MS = 1_200_000;
const FILES = ['--storage', 'zfs', '--services', 'files'];

describe.skipIf(why !== null)('three emulated machines', () => {
  const lab = labProgram(why !== null);

  it(
    'switchover: no acknowledged write is lost, never two at once, no client meets an error, and nothing is left behind',
    async () => {
      const words = ['run', 'switchover', '--json', '--engine', 'qemu', ...(whyNoZfs === null ? FILES : [])];
      const ran = await lab.run(words, RUN_LIMIT_MS);
      const [result] = resultsOf(ran);
      expect(result).toMatchObject({ ...GOOD, scenario: 'switchover', engine: 'qemu' });
      expect(result?.split).not.toBeNull();
      const ways = result?.clients.map(({ way }) => way);
      expect(ways).toEqual(whyNoZfs === null ? ['nfs4', 'nfs3', 'iscsi'] : []);
      expectNothingLeft(ran, lab.folder());
    },
    RUN_LIMIT_MS,
  );
});
