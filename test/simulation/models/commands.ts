/**
 * The programs that an executor starts on its host: `drbdadm`, `drbdsetup`, and a service's start, stop and probe.
 *
 * Modelled: what they print and how they exit, how long they take, that they are killed at their deadline, that they outlive
 * an executor that dies, that one which waits in the kernel cannot be killed, ones that hang or fail, a device that a stray
 * program holds open, a service that somebody starts without its devices: it opens none of them, so it writes beside them and
 * serves nobody, and a start that finds it running leaves it as it is (as `systemctl start` does).
 * Not modelled: process groups and pipes (test/executor has them); a stray service where there is no device, which would be a
 * second holder that no rule can keep from beginning.
 */
import type {
  CommandOptions,
  CommandResult,
  CommandRunner,
  FollowHandlers,
} from '../../../src/resources/index.ts';
import type { Host, HostPart, Thread } from '../engine/host.ts';
import { between } from '../engine/world.ts';
import type { DrbdEnd } from './drbd.ts';

const COMMAND_MS = [3, 15] as const;
const SERVICE_MS = [5, 40] as const;
const KILL_MS = [1, 5] as const;
const KILL_LIMIT_MS = 2_000;
const SERVICE = 'service';
const STRAY = 'stray';

interface Child {
  isAlive: boolean;
  /** In the kernel: SIGKILL waits until it returns. */
  isUninterruptible: boolean;
  readonly isStart: boolean;
  onGone: (() => void)[];
}

type Finished = (code: number, stdout?: string, stderr?: string) => void;

export interface Trouble {
  /** Commands of this word hang until this virtual instant, or fail. */
  readonly hangs: Map<string, number>;
  readonly fails: Map<string, number>;
}

export class HostPrograms implements HostPart {
  readonly #host: Host;
  readonly #random: () => number;
  #kernel: Thread;
  readonly devices: ReadonlyMap<string, DrbdEnd>;
  readonly trouble: Trouble = { hangs: new Map(), fails: new Map() };
  isServiceRunning = false;
  /** It runs, but without the devices: somebody else has started it. */
  isStray = false;
  /** The service is in an uninterruptible call of the kernel until then: a kill takes effect afterwards. */
  #unkillableUntil = 0;
  readonly #children = new Set<Child>();
  /** Told when a command that takes something begins (O1). */
  onAcquire: (what: string) => void = () => undefined;
  /** Told when a promotion by force begins (O3). */
  onForce: (what: string) => void = () => undefined;

  constructor(host: Host, devices: ReadonlyMap<string, DrbdEnd>) {
    this.#host = host;
    this.#random = host.world.random(`programs ${host.id}`);
    this.devices = devices;
    this.#kernel = host.thread('programs');
    host.parts.push(this);
  }

  powerOn(): void {
    this.#kernel = this.#host.thread('programs');
  }

  powerOff(): void {
    this.isServiceRunning = false;
    this.isStray = false;
    this.#unkillableUntil = 0;
    this.#children.clear();
    this.trouble.hangs.clear();
    this.trouble.fails.clear();
  }

  /** Clients are answered. */
  get isServing(): boolean {
    return this.isServiceRunning && !this.isStray;
  }

  /** Somebody starts the service where nothing is held. False where it is not like that, or there is no device. */
  startStray(): boolean {
    const devices = [...this.devices.values()];
    const isIdle = this.#host.isOn && !this.isServiceRunning && devices.length > 0;
    if (!isIdle || devices.some(({ view }) => view.role === 'Primary')) return false;
    this.isServiceRunning = true;
    this.isStray = true;
    this.#host.world.changes += 1;
    this.#host.say('somebody starts the service');
    return true;
  }

  /** A stray program keeps the devices open: an admin's shell with its working directory there. */
  holdOpen(ms: number): void {
    const { world, boots } = { world: this.#host.world, boots: this.#host.boots };
    for (const device of this.devices.values()) if (device.view.role === 'Primary') device.openers.add(STRAY);
    world.after(ms, () => {
      if (this.#host.boots === boots)
        for (const device of this.devices.values()) device.openers.delete(STRAY);
    });
  }

  /** For one executor's guard; the children belong to the host. */
  runner(thread: Thread): CommandRunner & {
    killInFlight(limitMs: number): Promise<boolean>;
    killLeftovers(): Promise<boolean>;
  } {
    const own = new Set<Child>();
    return {
      run: (command, options) => this.#run(thread, own, command, options),
      killMarked: (_, deadline) => this.#killMarked(thread, deadline),
      follow: (command, handlers) => this.#follow(thread, command, handlers),
      killInFlight: (limitMs) => this.#kill(thread, [...own], limitMs),
      killLeftovers: () =>
        this.#kill(
          thread,
          [...this.#children].filter((child) => !own.has(child)),
          Number.POSITIVE_INFINITY,
        ),
    };
  }

  #run(
    thread: Thread,
    own: Set<Child>,
    command: readonly string[],
    options: CommandOptions,
  ): Promise<CommandResult> {
    const limitMs = options.deadline - thread.clock.now();
    if (options.signal.aborted) return Promise.resolve({ kind: 'aborted' });
    if (limitMs <= 0) return Promise.resolve({ kind: 'timed-out', limitMs: 0 });
    const child: Child = {
      isAlive: true,
      isUninterruptible: false,
      isStart: command[0] === 'svc' && command[1] === 'start',
      onGone: [],
    };
    this.#children.add(child);
    own.add(child);
    child.onGone.push(() => own.delete(child));
    return new Promise((resolve) => {
      let isTold = false;
      const tell = (result: CommandResult): void => {
        if (isTold) return;
        isTold = true;
        timer.cancel();
        options.signal.removeEventListener('abort', onAbort);
        resolve(result);
      };
      const kill = (result: CommandResult): void => {
        this.#killOne(child);
        tell(result);
      };
      const onAbort = (): void => kill({ kind: 'aborted' });
      const timer = thread.clock.after(limitMs, () => kill({ kind: 'timed-out', limitMs }));
      options.signal.addEventListener('abort', onAbort, { once: true });
      // Killed by somebody else: the process is seen to end.
      child.onGone.push(() => thread.post(0.1, () => tell({ kind: 'died', why: 'killed by SIGKILL' })));
      this.#start(child, command, (code, stdout = '', stderr = '') => {
        thread.post(0.1, () => tell({ kind: 'exited', code, stdout, stderr }));
        this.#gone(child);
      });
    });
  }

  #start(child: Child, command: readonly string[], finished: Finished): void {
    const { world, boots } = { world: this.#host.world, boots: this.#host.boots };
    const [program = '', verb = ''] = command;
    const name = command.at(-1) ?? '';
    const word = `${program} ${verb}`;
    const takesMs = between(this.#random, program === 'svc' && verb !== 'probe' ? SERVICE_MS : COMMAND_MS);
    const hangsMs = (this.trouble.hangs.get(word) ?? 0) - world.now;
    const isFailing = world.now < (this.trouble.fails.get(word) ?? 0);
    if ((program === 'drbdadm' && verb === 'primary') || word === 'svc start') this.onAcquire(word);
    if (command.includes('--force')) this.onForce(command.join(' '));
    if (hangsMs > 0) world.marks.add('command-hangs');
    const act = (): void => {
      if (this.#host.boots !== boots || !child.isAlive) return;
      // A probe that fails says nothing: 1 would say that the service does not run.
      if (isFailing) return finished(word === 'svc probe' ? 2 : 1, '', 'it fails');
      this.#perform(child, word, name, command.includes('--force'), finished);
    };
    this.#kernel.post(Math.max(takesMs, hangsMs), act);
  }

  #perform(child: Child, word: string, name: string, force: boolean, finished: Finished): void {
    const device = this.devices.get(name);
    switch (word) {
      case 'drbdadm primary': {
        if (device === undefined) return finished(1, '', `'${name}' not defined in your config`);
        // A state change of the kernel ends when it ends, whoever has been killed meanwhile.
        child.isUninterruptible = true;
        const { boots } = this.#host;
        void device.primary(force).then((refusal) => {
          if (this.#host.boots !== boots) return;
          if (refusal === null) finished(0);
          else finished(refusal.exit, '', `0: State change failed: (${refusal.number}) ${refusal.text}`);
        });
        return;
      }
      case 'drbdadm secondary': {
        if (device === undefined) return finished(1, '', `'${name}' not defined in your config`);
        const refusal = device.secondary();
        if (refusal === null) return finished(0);
        return finished(refusal.exit, '', `0: State change failed: (${refusal.number}) ${refusal.text}`);
      }
      case 'drbdadm resume-io':
        device?.resumeIo();
        return finished(0);
      case 'drbdsetup events2':
        return finished(0, device === undefined ? 'exists -' : device.dump().join('\n'));
      case 'svc start':
        return this.#startService(finished);
      case 'svc stop':
        if (this.#host.world.now < this.#unkillableUntil) return finished(1, '', 'it does not stop');
        this.#stopService();
        return finished(0);
      case 'svc probe':
        return finished(this.isServiceRunning ? 0 : 3);
      default:
        return finished(1, '', `unknown command ${word}`);
    }
  }

  #startService(finished: Finished): void {
    if (this.isStray) return finished(0, 'runs');
    if ([...this.devices.values()].some((device) => device.view.role !== 'Primary'))
      return finished(1, '', 'the device cannot be opened');
    for (const device of this.devices.values()) device.openers.add(SERVICE);
    this.isServiceRunning = true;
    this.#host.world.changes += 1;
    this.#host.say('the service runs');
    finished(0, 'runs');
  }

  #stopService(): void {
    if (this.isServiceRunning) this.#host.say('the service has stopped');
    this.isServiceRunning = false;
    this.isStray = false;
    this.#host.world.changes += 1;
    for (const device of this.devices.values()) device.openers.delete(SERVICE);
  }

  /** By itself, or by somebody else's hand. */
  killService(): void {
    if (this.#host.isOn) this.#stopService();
  }

  makeUnkillable(ms: number): void {
    this.#unkillableUntil = this.#host.world.now + ms;
  }

  /** As the real one: SIGKILL again and again until nobody is left, for so long, or to the deadline. */
  #killMarked(thread: Thread, deadline: number): Promise<number> {
    const { world } = this.#host;
    const waitMs = between(this.#random, KILL_MS) + Math.max(0, this.#unkillableUntil - world.now);
    if (waitMs > KILL_MS[1] && this.isServiceRunning) world.marks.add('service-unkillable');
    return new Promise((resolve) => {
      const limitMs = Math.max(0, Math.min(KILL_LIMIT_MS, deadline - thread.clock.now()));
      thread.clock.after(Math.min(waitMs, limitMs), () => resolve(this.#killService()));
    });
  }

  /** Everything that carries the service's mark: also a start that has not ended. */
  #killService(): number {
    const starting = [...this.#children].filter((child) => child.isStart);
    for (const child of starting) this.#killOne(child);
    const count = starting.length + (this.isServiceRunning ? 1 : 0);
    if (this.#host.world.now >= this.#unkillableUntil) this.#stopService();
    return count;
  }

  #killOne(child: Child): void {
    if (child.isUninterruptible) return;
    this.#gone(child);
  }
  #gone(child: Child): void {
    if (!child.isAlive) return;
    child.isAlive = false;
    this.#children.delete(child);
    for (const tell of child.onGone.splice(0)) tell();
  }

  #kill(thread: Thread, children: readonly Child[], limitMs: number): Promise<boolean> {
    for (const child of children) this.#killOne(child);
    const left = children.filter((child) => child.isAlive);
    if (left.length === 0) return Promise.resolve(true);
    this.#host.world.marks.add('child-in-the-kernel');
    return new Promise((resolve) => {
      let count = left.length;
      for (const child of left)
        child.onGone.push(() => {
          count -= 1;
          if (count === 0) thread.post(0.1, () => resolve(true));
        });
      if (Number.isFinite(limitMs)) thread.clock.after(limitMs, () => resolve(false));
    });
  }

  #follow(thread: Thread, command: readonly string[], handlers: FollowHandlers): () => void {
    const device = this.devices.get(command.at(-1) ?? '');
    if (device === undefined) return () => undefined;
    let isOver = false;
    // Lines of one pipe keep their order.
    const lines: string[] = [];
    const told = (): void => {
      for (const line of lines.splice(0)) if (!isOver) handlers.onLine(line);
    };
    const follow = (line: string): void => {
      lines.push(line);
      if (lines.length === 1) thread.post(between(this.#random, [0.1, 1]), told);
    };
    device.followers.add(follow);
    for (const line of device.dump()) follow(line);
    return () => {
      isOver = true;
      device.followers.delete(follow);
    };
  }
}
