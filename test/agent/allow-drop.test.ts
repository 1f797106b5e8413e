/** The word that what is kept may be destroyed: with who said it, and only of what can be kept. */
import { expect, it } from 'vitest';
import { allowDrop } from '../../src/agent/allow-drop.ts';
import type { Config } from '../../src/config/index.ts';
import { type EntryBody, logIndex, nodeId } from '../../src/core/index.ts';
import { dropText } from '../../src/state/index.ts';

function bench() {
  const written: EntryBody[] = [];
  const members = [
    { id: nodeId('a'), witness: false },
    { id: nodeId('b'), witness: false },
    { id: nodeId('w'), witness: true },
  ];
  const commit = async (body: EntryBody) => {
    written.push(body);
    return logIndex(31);
  };
  const parts = { config: { members } as unknown as Config, driver: { commit }, clock: { wallMs: () => 5 } };
  const ask = (node: string, datasets: readonly string[], why = 'the rack burned') =>
    allowDrop({ who: 'root@nas-b', node: nodeId(node), datasets, why }, parts as never);
  return { written, ask };
}

const KEPT = 'tank/.diverged/20/home=11';

it('is one entry of an operator, whose beginning the other node finds', async () => {
  const { written, ask } = bench();
  expect(await ask('a', [KEPT, 'tank/.diverged/20.2/b=12'])).toEqual({ index: 31 });
  const action = `${dropText('a', [KEPT, 'tank/.diverged/20.2/b=12'])}the rack burned)`;
  expect(written).toEqual([{ kind: 'operator', who: 'root@nas-b', action, at: 5 }]);
});

it.each([
  ['w', [KEPT]],
  ['z', [KEPT]],
  ['a', []],
  ['a', ['tank/home=11']],
  ['a', ['tank/.diverged=11']],
  ['a', ['tank/.diverged/20/home']],
  ['a', ['tank/.diverged/20/home=0']],
  ['a', [`${KEPT} tank/.diverged/20/x=12`]],
  ['a', Array.from({ length: 13 }, (_, at) => `tank/.diverged/20/x${at}=${at + 1}`)],
])('is not written for %s and %j', async (node, datasets) => {
  const { written, ask } = bench();
  await expect(ask(node, datasets)).rejects.toMatchObject({ code: 'usage' });
  expect(written).toEqual([]);
});
