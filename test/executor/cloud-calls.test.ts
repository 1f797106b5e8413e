/** The socket on which an executor tells of its calls, and whoever follows it. */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type CallReport, CloudCalls, followCalls } from '../../src/executor/cloud-calls.ts';
import type { CloudCall } from '../../src/resources/index.ts';

let directory: string;
let calls: CloudCalls;
const path = (): string => join(directory, 'calls.sock');
const listen = () =>
  CloudCalls.listen(path(), (why) => {
    throw new Error(why);
  });
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-calls-'));
  calls = await listen();
});
afterEach(async () => {
  await calls.close();
  rmSync(directory, { recursive: true, force: true });
});

const call = (id: number): CloudCall => ({
  direction: 'received',
  client: 'EC2Client',
  name: 'DescribeAddresses',
  id,
  attempts: 1,
  bytes: null,
  latencyMs: 54.2,
  outcome: 'ok',
});
const until = (condition: () => boolean) =>
  expect.poll(condition, { timeout: 10_000, interval: 5 }).toBe(true);

it('tells whoever follows, and only while somebody does; the socket is for its owner', async () => {
  expect(calls.isWatched).toBe(false);
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  const reports: CallReport[] = [];
  const end = followCalls(directory, (report) => reports.push(report));
  await until(() => calls.isWatched);
  calls.call(call(1));
  await until(() => reports.length === 1);
  expect(reports).toEqual([{ ...call(1), at: expect.any(Number), missed: 0 }]);
  end();
  await until(() => !calls.isWatched);
});

it('is followed again at the next executor', async () => {
  const reports: CallReport[] = [];
  const end = followCalls(directory, (report) => reports.push(report));
  await until(() => calls.isWatched);
  await calls.close();
  calls = await listen();
  await until(() => calls.isWatched);
  calls.call(call(2));
  await until(() => reports.length === 1);
  end();
});

it('an executor that has no such socket tells of nothing, and that is all', async () => {
  await calls.close();
  const reports: CallReport[] = [];
  const end = followCalls(directory, (report) => reports.push(report));
  calls = await listen();
  await until(() => calls.isWatched);
  end();
  expect(reports).toEqual([]);
});

it('waits for nobody: who does not read is told how many it missed when it reads', async () => {
  const slow = connect(path());
  slow.pause();
  await until(() => calls.isWatched);
  for (let id = 0; id < 5000; id++) calls.call(call(id));
  let text = '';
  slow.setEncoding('utf8');
  slow.on('data', (chunk: string) => {
    text += chunk;
  });
  slow.resume();
  const read = (): CallReport[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  // What had been written arrives, then there is room again.
  await until(() => {
    calls.call(call(9999));
    return read().some(({ missed }) => missed > 0);
  });
  const all = read();
  const at = all.findIndex(({ missed }) => missed > 0);
  expect(all.slice(0, at).map(({ id }) => id)).toEqual(Array.from({ length: at }, (_, id) => id));
  expect(at + (all[at]?.missed ?? 0)).toBeGreaterThanOrEqual(5000);
  slow.destroy();
});

it('that it cannot listen is said, and it works as one that nobody follows', async () => {
  const why: string[] = [];
  const deaf = await CloudCalls.listen('/nonexistent/calls.sock', (one) => why.push(one));
  expect(why).toEqual([expect.stringContaining('/nonexistent/calls.sock')]);
  deaf.call(call(1));
  await deaf.close();
});
