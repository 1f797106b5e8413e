/** The executor's answer about its pools comes in pieces that fit a line, and asks only for the pools of the config. */
import { expect, it } from 'vitest';
import { PoolsReader } from '../../src/executor/pools.ts';
import { eventSchema, type SentEvent } from '../../src/executor/protocol.ts';
import { unpackReading } from '../../src/replication/index.ts';

/** No host has them. */
const POOLS = Array.from({ length: 16 }, (_, at) => `no-such-pool-${at}`);

it('is whole when its pieces are put together, and never says of a pool that it read what is not there', async () => {
  const reader = new PoolsReader({
    dataDir: '/nowhere',
    replication: { pools: POOLS, include: [], exclude: [], channel: null, send: null },
  });
  const events: SentEvent[] = [];
  await reader.answer(5, (event) => events.push(event));
  await reader.stop();
  const pieces = events.map((event) => eventSchema.parse(event));
  const text = pieces
    .map((event) => (event.kind === 'pools-read' && event.id === 5 ? event.text : '?'))
    .join('');
  const reading = await unpackReading(text);
  expect(reading?.pools.map(({ name }) => name)).toEqual(POOLS);
  expect(reading?.pools.every(({ kind }) => kind === 'absent' || kind === 'unknown')).toBe(true);
  expect(pieces.map((event) => event.kind === 'pools-read' && event.isLast).indexOf(true)).toBe(
    pieces.length - 1,
  );
});
