import { describe, expect, it } from 'vitest';
import type { EntryBody } from '../../src/core/index.ts';
import { membersCheck } from '../../src/doctor/members.ts';
import { QuorateError } from '../../src/errors.ts';
import { a, b, chain, config, w } from '../state/story.ts';
import { configOf, contextOf } from './support.ts';

const judged = async (...bodies: EntryBody[]) => {
  const entries = chain(...bodies.map((body): [number, EntryBody] => [0, body]));
  const context = contextOf({}, { config: configOf(), entries: async () => entries });
  return (await membersCheck.run(context)).map(
    ({ subject, result, detail }) => `${subject} ${result}: ${detail}`,
  );
};

describe('members', () => {
  it('are well where file and log say the same', async () => {
    expect(await judged(config())).toEqual([
      'members ok: the file lists the 3 members of the log',
      'timing ok: the file says what the cluster goes by',
    ]);
  });

  it('warn of whom the file does not know or knows too much, and of another timing', async () => {
    const { members, timing } = config();
    const changed = config({
      members: [
        ...members.filter(({ id }) => id !== w),
        { id: 'v' as typeof w, witness: true, learner: false },
      ],
      removed: [w],
      timing: { ...timing, leaseMs: (timing.leaseMs + 300) as typeof timing.leaseMs },
      inSync: null,
    });
    expect(await judged(config(), changed)).toEqual([
      expect.stringMatching(
        /^members warning: v is a member, .*; w was removed, and the file still lists it$/,
      ),
      'timing warning: lease: 600 ms in the file, 900 ms in force (L8)',
    ]);
  });

  it('fail on a node that was removed; nothing is said without a log, or where it cannot be read', async () => {
    const { members } = config();
    const without = config({
      members: members.filter(({ id }) => id === b || id === w),
      removed: [a],
      inSync: null,
    });
    expect((await judged(config(), without))[0]).toMatch(/^members failed: a was removed/);
    expect(await judged()).toEqual(['members skipped: there is no log yet: the file counts']);
    const entries = () => Promise.reject(new QuorateError('agent-unreachable', 'no agent'));
    const [finding] = await membersCheck.run(contextOf({}, { config: configOf(), entries }));
    expect(finding?.result).toBe('unknown');
  });
});
