/** The spawn helper when it dies, hangs, or comes too late: what it has started is gone before its end is told (O1). */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { ChildRunner } from '../../src/executor/commands.ts';
import { HelperSpawner } from '../../src/executor/helper-spawner.ts';
import { isGone, startTimeOf } from '../../src/executor/processes.ts';
import { type Bundle, bundleExecutor } from './support/bundle.ts';
import { isReady, readyHelper } from './support/spawn-helper.ts';

let bundle: Bundle;
let directory: string;
let helper: HelperSpawner;
let runner: ChildRunner;
beforeAll(async () => {
  bundle = await bundleExecutor();
}, 60_000);
afterAll(() => bundle.remove());
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-helper-'));
  helper = await readyHelper(bundle.program, directory);
  runner = new ChildRunner(directory, systemClock, helper);
});
afterEach(async () => {
  if (helper.pid !== null) process.kill(helper.pid, 'SIGCONT');
  helper.close();
  await runner.killLeftovers();
  rmSync(directory, { recursive: true, force: true });
});

const within = (ms: number) => ({
  deadline: instant(systemClock.now() + ms),
  signal: new AbortController().signal,
});
const shell = (text: string) => ['sh', '-c', text];
const alive = (pid: number) => !isGone({ pid, startTime: startTimeOf(pid) ?? '' });
function helperPid(): number {
  if (helper.pid === null) throw new Error('no helper');
  return helper.pid;
}
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let end = systemClock.now() + 10_000; !isSo(); await systemClock.sleep(2)) {
    if (systemClock.now() > end) throw new Error(`not in time: ${what}`);
  }
}
const written = (name: string): number | null => {
  const text = existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8').trim() : '';
  return text === '' ? null : Number(text);
};
async function pidIn(name: string): Promise<number> {
  await until(name, () => written(name) !== null);
  return written(name) ?? 0;
}

test('a child is a child of the helper, and this process is not forked', async () => {
  const said = await runner.run(shell('echo $PPID'), within(5000));
  expect(said).toMatchObject({ kind: 'exited', stdout: `${helperPid()}\n` });
});

test('O1: a helper that is killed takes everything in flight with it, and what ran before runs on', async () => {
  await runner.run(
    shell(`setsid sh -c 'echo $$ > ${directory}/daemon; sleep 60' > /dev/null 2>&1 &`),
    within(5000),
  );
  const daemon = await pidIn('daemon');
  const running = runner.run(shell(`sleep 60 & echo $! > ${directory}/child; wait`), within(60_000));
  const child = await pidIn('child');
  process.kill(helperPid(), 'SIGKILL');
  expect(await running).toMatchObject({ kind: 'died' });
  expect(alive(child)).toBe(false);
  expect(alive(daemon)).toBe(true);
  expect(runner.inFlight).toBe(0);
});

test('without a helper this process starts them itself, until there is another', async () => {
  const before = helperPid();
  process.kill(before, 'SIGKILL');
  await until('the helper is gone', () => helper.pid !== before);
  const said = await runner.run(shell('echo $PPID'), within(5000));
  expect(said).toMatchObject({ stdout: `${process.pid}\n` });
  await isReady(helper);
  expect(helperPid()).not.toBe(before);
  const again = await runner.run(shell('echo $PPID'), within(5000));
  expect(again).toMatchObject({ stdout: `${helperPid()}\n` });
});

test('O1: what a helper that hangs was told to start never starts once it is called off', async () => {
  const before = helperPid();
  process.kill(before, 'SIGSTOP');
  const running = runner.run(shell(`echo 1 > ${directory}/started`), within(60_000));
  expect(runner.inFlight).toBe(1);
  expect(await runner.killInFlight(10_000)).toBe(true);
  expect(await running).toMatchObject({ kind: 'died' });
  // It is dead and not only asked: nothing can come of what is in its pipe.
  expect(alive(before)).toBe(false);
  expect(written('started')).toBeNull();
});

test('O1: a command that the hanging helper has started is killed all the same', async () => {
  const running = runner.run(
    shell(`echo $$ > ${directory}/child; while :; do sleep 1; done`),
    within(60_000),
  );
  const child = await pidIn('child');
  process.kill(helperPid(), 'SIGSTOP');
  expect(await runner.killInFlight(10_000)).toBe(true);
  expect(await running).toMatchObject({ kind: 'died' });
  expect(alive(child)).toBe(false);
});

test('O1: one that came to the helper after the end of the lease is not started', async () => {
  process.kill(helperPid(), 'SIGSTOP');
  const distanceMs = bootDistance();
  const until = instant(systemClock.now() + 50);
  const late = runner.run(shell(`echo 1 > ${directory}/late`), {
    ...within(10_000),
    startLimit: { until, distanceMs },
  });
  while (systemClock.now() <= until) await systemClock.sleep(5);
  process.kill(helperPid(), 'SIGCONT');
  expect(await late).toEqual({ kind: 'aborted' });
  // T3: and not when the host was suspended since: the lease did not count that time.
  const startLimit = { until: instant(systemClock.now() + 10_000), distanceMs: distanceMs - 1000 };
  expect(await runner.run(shell(`echo 1 > ${directory}/late`), { ...within(5000), startLimit })).toEqual({
    kind: 'aborted',
  });
  expect(written('late')).toBeNull();
  const fine = { until: instant(systemClock.now() + 10_000), distanceMs };
  expect(await runner.run(shell('true'), { ...within(5000), startLimit: fine })).toMatchObject({ code: 0 });
});

test('O1: a successor that looks for leftovers finds the helper, and its own one is left alone', async () => {
  expect(await runner.killLeftovers()).toBe(true);
  const before = helperPid();
  expect(alive(before)).toBe(true);
  // Of the same node, in another process.
  expect(await new ChildRunner(directory, systemClock).killLeftovers()).toBe(true);
  expect(alive(before)).toBe(false);
});

test('a helper that dies before the output is told: no half of it counts, and nobody waits for ever', async () => {
  // A daemon keeps the pipe open, so that the output is told 20 ms after the end: mostly soon enough to be stopped between.
  for (let attempt = 0; attempt < 20; attempt++) {
    await isReady(helper);
    const running = runner.run(shell('(setsid sleep 60 &); echo whole'), within(60_000));
    while (runner.inFlight > 0) await new Promise(setImmediate);
    process.kill(helperPid(), 'SIGSTOP');
    const said = await running;
    if (said.kind === 'died') return;
    expect(said).toMatchObject({ kind: 'exited', code: 0, stdout: 'whole\n' });
    if (helper.pid !== null) process.kill(helper.pid, 'SIGCONT');
  }
  throw new Error('the helper was never stopped in time');
});

test('O1: one that was called off before the helper had got to it has not run', async () => {
  for (let round = 0; round < 5; round++) {
    const controller = new AbortController();
    process.kill(helperPid(), 'SIGSTOP');
    const running = runner.run(shell(`echo 1 > ${directory}/called-off`), {
      deadline: within(10_000).deadline,
      signal: controller.signal,
    });
    controller.abort();
    process.kill(helperPid(), 'SIGCONT');
    expect(await running).toEqual({ kind: 'aborted' });
    expect(await runner.killInFlight(5000)).toBe(true);
    expect(written('called-off')).toBeNull();
  }
});

test('nobody waits behind a helper that does not answer', async () => {
  const before = helperPid();
  process.kill(before, 'SIGSTOP');
  const first = runner.run(shell('echo $PPID'), within(20_000));
  for (const end = systemClock.now() + 110; systemClock.now() < end; ) await systemClock.sleep(5);
  const second = await runner.run(shell('echo $PPID'), within(20_000));
  expect(second).toMatchObject({ stdout: `${process.pid}\n` });
  // What it was told in vain is not started again: it might run twice.
  expect(await first).toMatchObject({ kind: 'died' });
  expect(alive(before)).toBe(false);
});

test('a stall of this thread is not taken for one of the helper', async () => {
  const before = helperPid();
  const running = runner.run(['sleep', '60'], within(60_000));
  const other = runner.run(['sleep', '1.5'], within(60_000));
  await until('both run', () => runner.inFlight === 2);
  const killed = runner.run(['sleep', '60'], within(1));
  const end = systemClock.now() + 700;
  while (systemClock.now() < end);
  expect(await killed).toMatchObject({ kind: 'timed-out' });
  expect(await other).toMatchObject({ kind: 'exited', code: 0 });
  expect(helperPid()).toBe(before);
  await runner.killInFlight(5000);
  await running;
});

test('what cannot be started costs nobody else anything', async () => {
  const before = helperPid();
  const other = runner.run(['sleep', '0.3'], within(20_000));
  const tooLong = 'x'.repeat(300_000);
  expect(await runner.run(['true', tooLong], within(5000))).toMatchObject({ kind: 'died' });
  expect(await runner.run(['true', '\0'], within(5000))).toMatchObject({ kind: 'died' });
  expect(await other).toMatchObject({ kind: 'exited', code: 0 });
  expect(helperPid()).toBe(before);
  const direct = new ChildRunner(directory, systemClock);
  expect(await direct.run(['true', tooLong], within(5000))).toMatchObject({ kind: 'died' });
});

test('a helper that cannot be started is done without', async () => {
  const without = new HelperSpawner({ program: join(directory, 'none.mjs'), mark: {}, clock: systemClock });
  const said = await new ChildRunner(directory, systemClock, without).run(shell('echo $PPID'), within(5000));
  expect(said).toMatchObject({ stdout: `${process.pid}\n` });
  without.close();
});

test('output that comes in pieces, in any script, is whole', async () => {
  const text = 'žluťoučký kůň 🐎 '.repeat(5000);
  const said = await runner.run(['cat'], { ...within(5000), input: text });
  expect(said).toEqual({ kind: 'exited', code: 0, stdout: text, stderr: '' });
});

test('one that is followed is told line by line, and its end when the helper dies', async () => {
  const lines: string[] = [];
  let end = '';
  runner.follow(shell('echo one; echo two; sleep 60'), {
    onLine: (line) => lines.push(line),
    onEnd: (why) => {
      end = why;
    },
  });
  await until('two lines', () => lines.length === 2);
  expect(lines).toEqual(['one', 'two']);
  process.kill(helperPid(), 'SIGKILL');
  await until('its end', () => end !== '');
  expect(end).toBe('lost');
});

/** As the guard reads it when a lease is confirmed. */
function bootDistance(): number {
  const [seconds = ''] = readFileSync('/proc/uptime', 'utf8').split(' ');
  return Number(seconds) * 1000 - systemClock.now();
}
