/** What survives a death, how time is told, and what the channel refuses. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { deriveTiming, epoch, instant } from '../../src/core/index.ts';
import { Channel } from '../../src/executor/channel.ts';
import { GuardSocket } from '../../src/executor/guard-socket.ts';
import { lockOwner, takeLock } from '../../src/executor/lock.ts';
import { ownProcess } from '../../src/executor/processes.ts';
import { clip } from '../../src/executor/protocol.ts';
import { leaseGate, newLeaseBuffer, SharedLease } from '../../src/executor/shared-lease.ts';
import { StateFile } from '../../src/executor/state-file.ts';
import { ResumeWatch, SuspendCheck } from '../../src/executor/suspend-check.ts';
import { openWatchdog } from '../../src/executor/watchdog.ts';
import { MAX_LINE_BYTES } from '../../src/lines.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-parts-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('executor-state.json', () => {
  const path = () => join(directory, 'executor-state.json');

  it('R2: is read back as it was written, whatever came last', async () => {
    const file = StateFile.open(directory);
    expect(file.state.releasedEpoch).toBe(0);
    void file.update({ begunEpoch: 7, begunTerm: 2 }, 'written');
    void file.update({ isArmed: true }, 'written');
    await file.update({ releasedEpoch: 7 }, 'durable');
    expect(StateFile.open(directory).state).toEqual({
      releasedEpoch: 7,
      begunEpoch: 7,
      begunTerm: 2,
      isArmed: true,
      isOfEarlierBoot: false,
    });
  });

  it('a watchdog that was armed before this boot does not tick any more; whether one of an unknown boot does is not known', async () => {
    const write = (boot: string | null | undefined): void => {
      const body = { version: 1, releasedEpoch: 7, begunEpoch: 8, begunTerm: 2, isArmed: true, boot };
      const checksum = createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16);
      writeFileSync(path(), JSON.stringify({ ...body, checksum }));
    };
    write('of another boot');
    expect(StateFile.open(directory).state).toMatchObject({
      begunEpoch: 8,
      isArmed: false,
      isOfEarlierBoot: true,
    });
    for (const boot of [undefined, null]) {
      write(boot);
      expect(StateFile.open(directory).state.isArmed).toBe(true);
    }
    await StateFile.open(directory).update({ releasedEpoch: 8 }, 'written');
    expect(StateFile.open(directory).state.isArmed).toBe(true);
  });

  it('R1: what is written after a boot is of that boot for whoever reads it next, and a new tenure at once', async () => {
    const body = {
      version: 1,
      releasedEpoch: 7,
      begunEpoch: 8,
      begunTerm: 2,
      isArmed: false,
      boot: 'another',
    };
    const checksum = createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16);
    writeFileSync(path(), JSON.stringify({ ...body, checksum }));
    const file = StateFile.open(directory);
    await file.update({ isArmed: true }, 'written');
    expect(file.state.isOfEarlierBoot).toBe(true);
    expect(StateFile.open(directory).state.isOfEarlierBoot).toBe(false);
    await file.update({ begunEpoch: 9 }, 'written');
    expect(file.state.isOfEarlierBoot).toBe(false);
  });

  it('O1: a damaged one is refused, never read as fresh', async () => {
    await StateFile.open(directory).update({ releasedEpoch: 7 }, 'durable');
    const good = readFileSync(path(), 'utf8');
    for (const bad of [
      '',
      '{',
      good.replace('7', '6'),
      good.replace('"version":1', '"version":2'),
      good.slice(0, -5),
    ]) {
      writeFileSync(path(), bad);
      expect(() => StateFile.open(directory)).toThrow(/executor-state/);
    }
  });
});

describe('T3: suspend', () => {
  it('is two readings in a row that are more than 50 ms apart, then the new distance is the base', () => {
    let boot = 5000;
    const check = new SuspendCheck(
      () => 1000,
      () => boot,
    );
    expect(check.check()).toBe('fine');
    boot += 50;
    expect(check.check()).toBe('fine');
    boot += 1;
    expect(check.check()).toBe('suspect');
    expect(check.check()).toBe('suspended');
    expect(check.check()).toBe('fine');
  });

  it('one odd reading, or one that took too long, means nothing', () => {
    let boot = 5000;
    let now = 1000;
    let stepMs = 0;
    const check = new SuspendCheck(
      () => {
        now += stepMs;
        return now;
      },
      () => boot,
    );
    check.check();
    boot += 200;
    expect(check.check()).toBe('suspect');
    boot -= 200;
    expect(check.check()).toBe('fine');
    boot += 200;
    stepMs = 6;
    expect(check.check()).toBe('unreadable');
    expect(check.check()).toBe('unreadable');
  });

  it('holds on this host', () => {
    const check = new SuspendCheck();
    // A thread that is taken off its core reads nothing; that is not a suspend.
    for (let count = 0; count < 100; count++) expect(['fine', 'unreadable']).toContain(check.check());
  });
});

describe('resume watch (T3)', () => {
  /** Each reading takes what `delays` says; the clocks stand where the test puts them. */
  function clocks() {
    const time = { monotonicMs: 1_000, suspendedMs: 0, delays: [] as number[] };
    let reads = 0;
    const now = () => {
      reads += 1;
      // Every second look at the clock ends a reading.
      if (reads % 2 === 0) time.monotonicMs += time.delays.shift() ?? 0;
      return instant(time.monotonicMs);
    };
    const bootMs = () => time.monotonicMs + time.suspendedMs;
    return { time, now, bootMs };
  }
  const watch = ({ time, now, bootMs }: ReturnType<typeof clocks>) =>
    new ResumeWatch(new SuspendCheck(now, bootMs), () => time.monotonicMs);

  it('a suspend is not forgotten because the thread was off its core in the reading that confirms it', () => {
    const host = clocks();
    const resumes = watch(host);
    expect(resumes.look()).toBe(Number.NEGATIVE_INFINITY);
    host.time.suspendedMs = 60_000;
    host.time.delays = [0, 7];
    expect(resumes.look()).toBeGreaterThanOrEqual(1_000);
    expect(resumes.look()).toBeGreaterThanOrEqual(1_000);
  });

  it('one jump that a second reading does not confirm is none', () => {
    const host = clocks();
    const resumes = watch(host);
    let reads = 0;
    const jumpy = new ResumeWatch(
      new SuspendCheck(host.now, () => host.bootMs() + (++reads === 2 ? 80 : 0)),
      () => host.time.monotonicMs,
    );
    expect(jumpy.look()).toBe(Number.NEGATIVE_INFINITY);
    expect(resumes.look()).toBe(Number.NEGATIVE_INFINITY);
  });

  it('what can never be read counts as a suspend', () => {
    const host = clocks();
    const resumes = watch(host);
    host.time.delays = Array.from({ length: 20 }, () => 7);
    expect(resumes.look()).toBeGreaterThanOrEqual(1_000);
  });

  it('the gate to the cloud compares with what the guard has seen, whenever it looks', () => {
    const host = clocks();
    const lease = new SharedLease(newLeaseBuffer());
    const mayMutate = leaseGate(lease, host.now, host.bootMs);
    expect(mayMutate()).toBe(false);
    lease.set(epoch(7), instant(1_400), watch(host).distanceMs);
    expect(mayMutate()).toBe(true);
    host.time.suspendedMs = 5_000;
    expect(mayMutate()).toBe(false);
    expect(mayMutate()).toBe(false);
    // The guard has noticed, and a later tenure has begun.
    lease.set(epoch(9), instant(1_400), watch(host).distanceMs);
    expect(mayMutate()).toBe(true);
    host.time.monotonicMs = 1_400;
    expect(mayMutate()).toBe(false);
  });
});

describe('shared lease', () => {
  it('O2: is valid for its own epoch, until its end, until it is cleared', () => {
    const buffer = newLeaseBuffer();
    const guard = new SharedLease(buffer);
    const main = new SharedLease(buffer);
    expect(main.isValid(epoch(0), instant(0))).toBe(false);
    guard.set(epoch(7), instant(100.5), instant(60));
    expect(main.isValid(epoch(7), instant(100.4))).toBe(true);
    expect(main.isValid(epoch(7), instant(100.5))).toBe(false);
    expect(main.isValid(epoch(6), instant(1))).toBe(false);
    guard.clear();
    expect(main.isValid(epoch(7), instant(1))).toBe(false);
  });
});

describe('lock', () => {
  it('is held by one, and says who', async () => {
    const options = { mayReplace: false, limitMs: 100 };
    const held = await takeLock(directory, options, systemClock);
    expect(lockOwner(directory)).toEqual({ ...ownProcess(), releasesUntil: null });
    await expect(takeLock(directory, options, systemClock)).rejects.toThrow(/is the executor of/);
    await new Promise((resolve) => held.close(resolve));
    const again = await takeLock(directory, options, systemClock);
    again.close();
  });
});

describe('channel', () => {
  const timing = deriveTiming({
    heartbeatMs: 100,
    leaseMs: 600,
    releaseMs: 1000,
    guardMs: 25,
    watchdogTimeoutMs: null,
    clockErrorRate: 0,
  });
  const hello = {
    kind: 'hello',
    version: 1,
    node: 'a',
    cluster: 'test',
    config: '',
    ...ownProcess(),
    members: { b: 'host:1' },
    timing,
  };
  let channel: Channel;
  let orders: unknown[];
  let closes: number;
  beforeEach(async () => {
    orders = [];
    closes = 0;
    channel = await Channel.listen(join(directory, 'executor.sock'), {
      onHello: () => ({ session: 's' }),
      features: () => ({ adoption: true, kept: null, resync: true }),
      onOrder: (order) => orders.push(order),
      onClosed: () => {
        closes += 1;
      },
    });
  });
  afterEach(() => channel.close());

  function dial(): { socket: Socket; said: () => string; closed: Promise<void> } {
    const socket = connect(join(directory, 'executor.sock'));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => undefined);
    return {
      socket,
      said: () => text,
      closed: new Promise((resolve) => socket.once('close', () => resolve())),
    };
  }
  const say = (socket: Socket, value: unknown) => socket.write(`${JSON.stringify(value)}\n`);

  it.each([
    ['no JSON', 'hello\n'],
    ['an unknown order', '{"kind":"reboot"}\n'],
    ['an unknown key', '{"kind":"arm","force":true}\n'],
    ['an order before hello', '{"kind":"arm"}\n'],
    ['a broken epoch', '{"kind":"release","epoch":-1,"mode":"planned"}\n'],
    ['another version', `${JSON.stringify({ ...hello, version: 2 })}\n`],
    ['a line without end', 'x'.repeat(70_000)],
  ])('is closed on %s', async (_, text) => {
    const { socket, closed } = dial();
    socket.write(text);
    await closed;
    expect(orders).toEqual([]);
    expect(closes).toBe(0);
  });

  it('serves one agent; its end is told once', async () => {
    const first = dial();
    say(first.socket, hello);
    say(first.socket, { kind: 'arm', id: 1 });
    while (orders.length === 0 || !first.said().includes('welcome')) await systemClock.sleep(1);
    expect(orders).toEqual([{ kind: 'arm', id: 1 }]);
    const second = dial();
    say(second.socket, hello);
    await second.closed;
    expect(second.said()).toContain('another agent is connected');
    expect(closes).toBe(0);
    first.socket.destroy();
    while (closes === 0) await systemClock.sleep(1);
    expect(closes).toBe(1);
  });
});

describe("the guard's socket", () => {
  it('T4: hears only the present session, and tells when it closes', async () => {
    const renewals: number[] = [];
    let closes = 0;
    const path = join(directory, 'guard.sock');
    const guard = await GuardSocket.listen(path, {
      onRenew: (of) => renewals.push(of),
      onClosed: () => {
        closes += 1;
      },
    });
    try {
      guard.setSession('new');
      const dial = (session: string, of: number): Socket => {
        const socket = connect(path).on('error', () => undefined);
        socket.write(`{"session":"${session}"}\n{"epoch":${of},"until":1.5}\n`);
        return socket;
      };
      const old = dial('old', 6);
      const unknown = connect(path).on('error', () => undefined);
      unknown.write('{"epoch":5,"until":1.5}\n');
      const present = dial('new', 7);
      while (renewals.length === 0) await systemClock.sleep(1);
      expect(renewals).toEqual([7]);
      old.destroy();
      const broken = connect(path).on('error', () => undefined);
      broken.write('nonsense\n');
      await new Promise((resolve) => broken.once('close', resolve).resume());
      expect(closes).toBe(0);
      present.destroy();
      while (closes === 0) await systemClock.sleep(1);
      unknown.destroy();
    } finally {
      guard.close();
    }
  });
});

it('H4: a report is never longer than a line, however much each of its resources has to say', () => {
  const long = 'x'.repeat(10_000);
  const steps = Array.from({ length: 100 }, () => ({
    name: 'n'.repeat(100),
    ms: 0.1,
    result: clip(long, 100),
  }));
  expect(JSON.stringify({ kind: 'taken', epoch: 1, steps, totalMs: 1 }).length).toBeLessThan(MAX_LINE_BYTES);
  expect([clip(long).length, clip(long, 9).length > 3000, clip('short', 100)]).toEqual([4096, true, 'short']);
});

describe('a watchdog of a kernel without CONFIG_WATCHDOG_SYSFS', () => {
  // Any character device that sysfs has nothing about.
  const device = '/dev/null';

  it('L5: is not opened when nobody says its timeout', async () => {
    await expect(openWatchdog(device)).rejects.toThrow('set watchdog.timeout');
  });

  it('L5: one that is unfit is not opened: that could never be taken back', async () => {
    const opened = openWatchdog('/dev', 1000, (timeoutMs) => `fires after ${timeoutMs} ms`);
    await expect(opened).rejects.toMatchObject({
      code: 'watchdog-unusable',
      message: '/dev fires after 1000 ms',
    });
  });

  it('L5: has the stated timeout, and counts as one that ticks on after its close', async () => {
    const watchdog = await openWatchdog(device, 1000);
    expect(watchdog).toMatchObject({ timeoutMs: 1000, canDisarm: false });
    watchdog.pet();
    await watchdog.disarm();
  });
});
