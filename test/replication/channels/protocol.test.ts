/** What two versions say to each other: neither is told what it does not understand. */
import { expect, it } from 'vitest';
import { answerRead } from '../../../src/replication/channels/answering.ts';
import {
  ASKS,
  readAnswer,
  readingOf,
  readQuestion,
  writeAnswer,
} from '../../../src/replication/channels/protocol.ts';
import type { PoolsReading } from '../../../src/replication/index.ts';
import type { Receiver } from '../../../src/replication/receiver/index.ts';

const ENDS = { cluster: 'c', from: 'a', to: 'b' };
const READING: PoolsReading = {
  version: 1,
  pools: [{ kind: 'absent', name: 'tank', why: 'is not imported' }],
};
const receiver = { read: async () => READING } as unknown as Receiver;

/** As it comes out of the carrier. */
async function ask(what: object): Promise<string> {
  const question = readQuestion(JSON.stringify({ ...ENDS, ...what }), ENDS);
  return writeAnswer(await answerRead(receiver, question));
}

it('a sender that asks hears what the receiver takes', async () => {
  const { reading, features } = await readingOf(readAnswer(await ask(ASKS)), 'b');
  expect(reading).toEqual(READING);
  expect([...features]).toEqual(['runs', 'settles', 'replays', 'left-out']);
});

it('a sender of the version before asks nothing, and hears nothing that it would not understand', async () => {
  expect(Object.keys(JSON.parse(await ask({})))).toEqual(['kind', 'packed']);
});

it('a receiver of the version before says nothing of it, and a newer one more: neither is taken for what it did not say', async () => {
  const said = JSON.parse(await ask({}));
  expect((await readingOf(readAnswer(JSON.stringify(said)), 'b')).features.size).toBe(0);
  const newer = JSON.stringify({ ...said, features: ['runs', 'flights'] });
  expect([...(await readingOf(readAnswer(newer), 'b')).features]).toEqual(['runs']);
});
