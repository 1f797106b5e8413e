/** Real children: killed with their groups, drained, found again by their mark. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { ChildRunner } from '../../src/executor/commands.ts';
import { isGone, killAndWait, ownProcess, startTimeOf } from '../../src/executor/processes.ts';
import { ServiceResource } from '../../src/resources/index.ts';
import { type Bundle, bundleExecutor } from './support/bundle.ts';
import { readyHelper } from './support/spawn-helper.ts';

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleExecutor();
}, 60_000);
afterAll(() => bundle.remove());

let directory: string;
let runner: ChildRunner;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-commands-'));
  runner = new ChildRunner(directory, systemClock);
});
afterEach(async () => {
  await runner.killLeftovers();
  rmSync(directory, { recursive: true, force: true });
});

const within = (ms: number, signal: AbortSignal = new AbortController().signal) => ({
  deadline: instant(systemClock.now() + ms),
  signal,
});
const shell = (text: string) => ['sh', '-c', text];
const alive = (pid: number) => !isGone({ pid, startTime: startTimeOf(pid) ?? '' });
async function pidIn(name: string): Promise<number> {
  const path = join(directory, name);
  for (let end = systemClock.now() + 5000; systemClock.now() < end; await systemClock.sleep(2)) {
    try {
      const text = readFileSync(path, 'utf8').trim();
      if (text !== '') return Number(text);
    } catch {
      // Not written yet.
    }
  }
  throw new Error(`${name} was not written`);
}

describe.each(['by this thread', 'by the helper'])('commands started %s', (by) => {
  let close: () => void = () => undefined;
  beforeEach(async () => {
    if (by === 'by this thread') return;
    const helper = await readyHelper(bundle.program, directory);
    runner = new ChildRunner(directory, systemClock, helper);
    close = () => helper.close();
  });
  afterEach(() => close());

  it('returns code and output', async () => {
    expect(await runner.run(shell('echo out; echo err >&2; exit 11'), within(5000))).toEqual({
      kind: 'exited',
      code: 11,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(await runner.run(['/nonexistent/command'], within(5000))).toEqual({ kind: 'missing' });
    expect(await runner.run(shell('kill -TERM $$'), within(5000))).toMatchObject({ kind: 'died' });
  });

  it('kills the whole group at the deadline', async () => {
    const running = runner.run(shell(`sleep 60 & echo $! > ${directory}/child; wait`), within(300));
    const child = await pidIn('child');
    expect(await running).toMatchObject({ kind: 'timed-out' });
    expect(await runner.killInFlight(1000)).toBe(true);
    expect(alive(child)).toBe(false);
  });

  it('O1: killing what is in flight waits until it is gone', async () => {
    const running = runner.run(
      shell(`trap '' TERM; echo $$ > ${directory}/child; while :; do sleep 1; done`),
      within(60_000),
    );
    const child = await pidIn('child');
    expect(runner.inFlight).toBe(1);
    expect(await runner.killInFlight(1000)).toBe(true);
    expect(alive(child)).toBe(false);
    expect(runner.inFlight).toBe(0);
    expect(await running).toMatchObject({ kind: 'died' });
  });

  it('gives a command its input', async () => {
    const input = 'one\ntwo\n';
    expect(await runner.run(['cat'], { ...within(5000), input })).toMatchObject({ code: 0, stdout: input });
    // One that does not read it, and is told more than a pipe holds.
    const long = 'x'.repeat(200_000);
    expect(await runner.run(['true'], { ...within(5000), input: long })).toMatchObject({ code: 0 });
  });

  it('R2: a reading is shared in the moment in which it is asked for, never with one who asks after a change', async () => {
    const count = join(directory, 'count');
    const options = { ...within(5000), isReading: true };
    const reading = shell(`echo x >> ${count}; wc -l < ${count}`);
    const read = (more = {}) => runner.run(reading, { ...options, ...more });
    const [one, two, other] = await Promise.all([read(), read(), read(within(4000))]);
    expect(one).toBe(two);
    expect(other).not.toBe(one);
    expect(readFileSync(count, 'utf8')).toBe('x\nx\n');
    // One that is under way may have missed what has ended since.
    const early = read();
    await runner.run(shell(':'), within(5000));
    const late = read();
    expect(late).not.toBe(early);
    await Promise.all([early, late]);
    expect(readFileSync(count, 'utf8')).toBe('x\nx\nx\nx\n');
    // A command that is not said to be a reading is one for each.
    await Promise.all([read({ isReading: false }), read({ isReading: false })]);
    expect(readFileSync(count, 'utf8').length).toBe(12);
  });

  it('more than 256 KiB is no answer: the command is killed, and nobody reads half of what it said', async () => {
    const tooMuch = { kind: 'died', why: 'more than 256 KiB of output', isTooMuch: true };
    const endless = shell(`echo $$ > ${directory}/child; while :; do echo '[{"ifname":"eth1"}]'; done`);
    expect(await runner.run(endless, within(20_000))).toEqual(tooMuch);
    expect(alive(await pidIn('child'))).toBe(false);
    expect(await runner.run(shell('yes >&2'), within(20_000))).toEqual(tooMuch);
    // One that has ended by itself when the limit is reached.
    expect(await runner.run(shell('head -c 300000 /dev/zero'), within(20_000))).toEqual(tooMuch);
    const whole = await runner.run(shell('head -c 262144 /dev/zero'), within(20_000));
    expect(whole.kind === 'exited' && whole.stdout.length).toBe(262_144);
  });

  it('a daemon that talks on and on after its command has ended is left alone', async () => {
    const daemon = `sleep 0.1; yes | head -c 600000; echo $$ > ${directory}/daemon; sleep 60`;
    const command = shell(`echo up; sh -c '${daemon}' &`);
    expect(await runner.run(command, within(5000))).toMatchObject({ kind: 'exited', code: 0 });
    const pid = await pidIn('daemon');
    // It got this far only because somebody read on.
    expect(alive(pid)).toBe(true);
    expect(await runner.run(['true'], within(5000))).toMatchObject({ code: 0 });
    expect(alive(pid)).toBe(true);
  });

  it('adds to the environment, but never over its own marks', async () => {
    const environment = { GREETING: 'hello', QUORATE_EXECUTOR_CHILD: 'somebody else' };
    const said = await runner.run(shell('echo "$GREETING $QUORATE_EXECUTOR_CHILD"'), {
      ...within(5000),
      environment,
    });
    expect(said).toMatchObject({ stdout: `hello ${directory}\n` });
  });

  it('a signal calls a command off, and starts none afterwards', async () => {
    const controller = new AbortController();
    const running = runner.run(['sleep', '60'], within(60_000, controller.signal));
    controller.abort();
    expect(await running).toEqual({ kind: 'aborted' });
    expect(await runner.run(shell(`touch ${directory}/started`), within(1000, controller.signal))).toEqual({
      kind: 'aborted',
    });
    expect(() => readFileSync(join(directory, 'started'))).toThrow();
  });

  it('a daemon that inherited the output neither delays its command nor is killed at its deadline', async () => {
    const startedAt = systemClock.now();
    const result = await runner.run(
      shell(`setsid sh -c 'echo $$ > ${directory}/daemon; while :; do echo still here; sleep 0.05; done' &`),
      within(1500),
    );
    expect(result).toMatchObject({ kind: 'exited', code: 0 });
    expect(systemClock.now() - startedAt).toBeLessThan(1490);
    const daemon = await pidIn('daemon');
    await systemClock.sleep(startedAt + 1600 - systemClock.now());
    expect(alive(daemon)).toBe(true);
  });

  it('O1: a successor finds and kills what its predecessor left, wherever it went', async () => {
    await runner.run(
      shell(`setsid sh -c 'echo $$ > ${directory}/daemon; sleep 60' > /dev/null 2>&1 &`),
      within(5000),
    );
    const daemon = await pidIn('daemon');
    const other = new ChildRunner(`${directory}-other`, systemClock);
    expect(await other.killLeftovers()).toBe(true);
    expect(alive(daemon)).toBe(true);
    expect(await new ChildRunner(directory, systemClock).killLeftovers()).toBe(true);
    expect(alive(daemon)).toBe(false);
  });
});

describe('commands', () => {
  it('R1: killing by the marker ends at its deadline, whoever cannot be killed', async () => {
    await runner.run(shell('setsid sleep 60 > /dev/null 2>&1 &'), { ...within(5000), marker: 'stuck' });
    const { kill } = process;
    // As for a process in the kernel: the signal is taken, and nothing happens.
    process.kill = () => true;
    try {
      let nowMs = 1000;
      const clock = {
        ...systemClock,
        now: () => instant(nowMs),
        sleep: async (ms: number) => {
          nowMs += ms;
        },
      };
      expect(await new ChildRunner(directory, clock).killMarked('stuck', instant(1100))).toBe(1);
      expect(nowMs).toBeGreaterThan(1050);
      expect(nowMs).toBeLessThanOrEqual(1100);
    } finally {
      process.kill = kill;
    }
    expect(await runner.killMarked('stuck', within(2000).deadline)).toBe(1);
    expect(await runner.killMarked('stuck', within(2000).deadline)).toBe(0);
  });

  it('a process is known by pid and start time', async () => {
    expect(isGone(ownProcess())).toBe(false);
    expect(isGone({ ...ownProcess(), startTime: '1' })).toBe(true);
    // Never kills somebody else who has the pid by now.
    expect(await killAndWait({ ...ownProcess(), startTime: '1' }, 100, systemClock)).toBe(true);
  });
});

describe('a service by commands', () => {
  function service(stop: string): ServiceResource {
    return new ServiceResource({
      name: 'store',
      service: {
        kind: 'commands',
        start: shell(
          `setsid sh -c 'echo $$ > ${directory}/daemon; while :; do sleep 1; done' > /dev/null 2>&1 &`,
        ),
        stop: shell(stop),
        probe: shell(`[ -e ${directory}/daemon ] && kill -0 "$(cat ${directory}/daemon)" 2> /dev/null`),
      },
      marker: `${directory}#store`,
      runner,
      clock: systemClock,
    });
  }

  it('starts, runs, stops', async () => {
    const store = service(`kill "$(cat ${directory}/daemon)"`);
    expect((await store.probe(within(2000))).probe).toBe('not-held');
    await store.acquire({ ...within(5000), previousReleased: false });
    await pidIn('daemon');
    expect((await store.probe(within(2000))).probe).toBe('held');
    await store.release({ ...within(5000), mode: 'planned' });
    // The signal is on its way when the stop command ends; whether it is gone is the verification's business (R2).
    while ((await store.probe(within(2000))).probe !== 'not-held') await systemClock.sleep(1);
  });

  it('R1: abruptly it is killed even if its stop command hangs, well within the budget', async () => {
    const store = service('sleep 60');
    await store.acquire({ ...within(5000), previousReleased: false });
    const daemon = await pidIn('daemon');
    const startedAt = systemClock.now();
    await store.release({ ...within(3000), mode: 'abrupt' });
    expect(systemClock.now() - startedAt).toBeLessThan(2700);
    expect(alive(daemon)).toBe(false);
  });

  it('H4: a probe that says anything but yes or no is unknown', async () => {
    for (const [text, probe] of [
      ['exit 0', 'held'],
      ['exit 1', 'not-held'],
      ['exit 3', 'not-held'],
      ['exit 4', 'unknown'],
      ['exit 127', 'unknown'],
      ['sleep 60', 'unknown'],
    ] as const) {
      const store = new ServiceResource({
        name: 'store',
        service: { kind: 'commands', start: ['true'], stop: ['true'], probe: shell(text) },
        marker: 'x',
        runner,
        clock: systemClock,
      });
      expect((await store.probe(within(200))).probe).toBe(probe);
    }
  });

  it('R1: a planned stop that fails is an error with its words', async () => {
    const store = service('echo "busy mount" >&2; exit 1');
    await expect(store.release({ ...within(2000), mode: 'planned' })).rejects.toThrow(/busy mount/);
  });
});

describe('a systemd unit', () => {
  it.each([
    ['active', 0, 'held'],
    ['inactive', 3, 'not-held'],
    ['failed', 3, 'not-held'],
    ['deactivating', 3, 'unknown'],
    ['', 1, 'unknown'],
  ] as const)('is-active says "%s"', async (state, code, probe) => {
    const path = process.env.PATH;
    writeFileSync(join(directory, 'systemctl'), `#!/bin/sh\necho "${state}"\nexit ${code}\n`, {
      mode: 0o755,
    });
    process.env.PATH = `${directory}:${path}`;
    try {
      const unit = new ServiceResource({
        name: 'nfs',
        service: { kind: 'unit', unit: 'nfs-server.service' },
        marker: 'x',
        runner,
        clock: systemClock,
      });
      expect((await unit.probe(within(2000))).probe).toBe(probe);
    } finally {
      process.env.PATH = path;
    }
  });
});
