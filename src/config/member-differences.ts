/** The file's `members` are for bootstrap and for addresses; who is a member says the log (E5). */
import type { ClusterState } from '../core/index.ts';
import type { Config } from './config.ts';

/** Where file and log differ, in sentences; none before there is a log. */
export function memberDifferences(
  config: Pick<Config, 'members' | 'node'>,
  { members, removed }: Pick<ClusterState, 'members' | 'removed'>,
): string[] {
  if (members.length === 0) return [];
  const inFile = new Map(config.members.map((member) => [member.id, member]));
  const said = members.flatMap(({ id, witness, peer }): string[] => {
    const entry = inFile.get(id);
    if (entry === undefined) {
      const where = peer === undefined ? ', and its address is not known here' : ` (at ${peer})`;
      return [`${id} is a member${where}, and the file does not list it`];
    }
    return entry.witness === witness
      ? []
      : [`${id} is ${witness ? 'a' : 'no'} witness, the file says otherwise`];
  });
  const strangers = config.members.filter(({ id }) => !members.some((member) => member.id === id));
  return [
    ...said,
    ...strangers.map(({ id }) =>
      removed.includes(id)
        ? `${id} was removed, and the file still lists it`
        : `the file lists ${id}, which is no member (yet)`,
    ),
  ];
}
