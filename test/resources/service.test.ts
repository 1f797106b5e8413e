/** What a service does about one that runs already when a tenure starts it. */
import { expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { type CommandResult, type CommandRunner, ServiceResource } from '../../src/resources/index.ts';

class Host {
  state: 'active' | 'inactive' | 'activating' = 'inactive';
  canStop = true;
  readonly commands: string[] = [];
  readonly service: ServiceResource;

  constructor() {
    const runner: CommandRunner = {
      run: async (command) => this.#run(command.slice(1).join(' ')),
      killMarked: async () => 0,
      follow: () => () => undefined,
    };
    const clock: Clock = { ...systemClock, now: () => instant(1000) };
    this.service = new ServiceResource({
      name: 'nfs',
      service: { kind: 'unit', unit: 'nfs.service' },
      marker: 'nfs',
      runner,
      clock,
    });
  }

  #run(command: string): CommandResult {
    this.commands.push(command);
    const [verb] = command.split(' ');
    const exits = (code: number, stdout = ''): CommandResult => ({
      kind: 'exited',
      code,
      stdout,
      stderr: '',
    });
    if (verb === 'is-active') return exits(this.state === 'active' ? 0 : 3, `${this.state}\n`);
    if (verb === 'start') this.state = 'active';
    if (verb === 'stop' && this.canStop) this.state = 'inactive';
    return exits(0);
  }

  acquire(isFirst: boolean): Promise<string> {
    const context = { deadline: instant(61_000), signal: new AbortController().signal };
    return this.service.acquire({ ...context, previousReleased: true, isFirst });
  }
}

it('R2: one that runs before its tenure has started it is ended first: it was started on something else than its data', async () => {
  const host = new Host();
  host.state = 'active';
  expect(await host.acquire(true)).toBe('started');
  expect(host.commands).toEqual([
    'is-active -- nfs.service',
    'kill --signal=SIGKILL -- nfs.service',
    'stop -- nfs.service',
    'is-active -- nfs.service',
    'start -- nfs.service',
  ]);
});

it('R2: and one that cannot be ended is not taken for the own', async () => {
  const host = Object.assign(new Host(), { state: 'active' as const, canStop: false });
  await expect(host.acquire(true)).rejects.toThrow(/nfs ran before it was started, and cannot be stopped/);
  expect(host.commands).not.toContain('start -- nfs.service');
});

it.each(['inactive', 'activating'] as const)('one that reads %s is only started', async (state) => {
  const host = Object.assign(new Host(), { state });
  await host.acquire(true);
  expect(host.commands).toEqual(['is-active -- nfs.service', 'start -- nfs.service']);
});

it('R1: what this tenure has started before goes on, when a release is taken back', async () => {
  const host = Object.assign(new Host(), { state: 'active' as const });
  await host.acquire(false);
  expect(host.commands).toEqual(['start -- nfs.service']);
});

it('R1: what cannot be killed leaves time for its stop command, and for the rest of the plan', async () => {
  let nowMs = 1000;
  const left: string[] = [];
  const use = (what: string, deadline: number): void => {
    left.push(`${what} ${Math.round(deadline - nowMs)}`);
    nowMs = deadline;
  };
  const service = new ServiceResource({
    name: 'nfs',
    service: { kind: 'commands', start: ['start'], stop: ['stop'], probe: ['probe'] },
    marker: 'nfs',
    runner: {
      run: async ([what = ''], { deadline }) => {
        use(what, deadline);
        return { kind: 'timed-out', limitMs: 1 };
      },
      killMarked: async (_, deadline) => {
        use('kill', deadline);
        return 1;
      },
      follow: () => () => undefined,
    },
    clock: { ...systemClock, now: () => instant(nowMs) },
  });
  const context = { deadline: instant(2000), signal: new AbortController().signal };
  expect(await service.release({ ...context, mode: 'abrupt' })).toBe('killed 2 processes, stop timed-out');
  expect(left).toEqual(['kill 200', 'stop 320', 'kill 96']);
});
