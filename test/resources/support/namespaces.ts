/**
 * Two hosts as network namespaces, joined by one cable: `node` runs what is tested, `peer` is gateway, client and the
 * other holder. Traffic stays inside. Needs root; `whyNot` says in one sentence why it does not work here.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { systemClock } from '../../../src/clock.ts';
import { instant } from '../../../src/core/index.ts';
import { ChildRunner } from '../../../src/executor/commands.ts';
import type { CommandRunner } from '../../../src/resources/index.ts';

const tag = `qt${process.pid}`;

/** Null when the tests can run. */
export function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  for (const tool of ['ip', 'nft', 'arping', 'ndptool', 'ss']) {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      return `needs ${tool} (apt-get install iproute2 nftables iputils-arping libndp-tools)`;
    }
  }
  try {
    execFileSync('ip', ['netns', 'add', `${tag}try`], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'del', `${tag}try`], { stdio: 'pipe' });
    return null;
  } catch {
    return 'network namespaces cannot be made here';
  }
}

export class TestNetwork {
  readonly node = `${tag}n`;
  readonly peer = `${tag}p`;
  readonly #children: ChildProcess[] = [];

  constructor() {
    for (const name of [this.node, this.peer]) {
      execFileSync('ip', ['netns', 'add', name]);
      this.in(name, 'ip', 'link', 'set', 'lo', 'up');
    }
    const cable = ['link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.peer];
    execFileSync('ip', ['-n', this.node, ...cable]);
    this.in(this.peer, 'ip', 'link', 'set', 'eth0', 'up');
    this.in(this.peer, 'ip', 'addr', 'add', '10.9.0.2/24', 'dev', 'eth0');
    this.in(this.peer, 'ip', 'addr', 'add', 'fd09::2/64', 'dev', 'eth0', 'nodad');
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const name of [this.node, this.peer]) execFileSync('ip', ['netns', 'del', name]);
  }

  /** Runs to its end, at most 5 s; throws when it fails. */
  in(namespace: string, ...command: readonly string[]): string {
    const words = ['netns', 'exec', namespace, ...command];
    return execFileSync('ip', words, { encoding: 'utf8', timeout: 5000, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** A long-lived program there; killed at the end. */
  start(namespace: string, ...command: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', namespace, ...command], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#children.push(child);
    return child;
  }

  /** The real runner, with every command inside the node. */
  runner(mark: string): CommandRunner {
    const runner = new ChildRunner(mark, systemClock);
    return {
      run: (command, options) => runner.run(['ip', 'netns', 'exec', this.node, ...command], options),
      killMarked: (marker, deadline) => runner.killMarked(marker, deadline),
      follow: (command, handlers) => runner.follow(['ip', 'netns', 'exec', this.node, ...command], handlers),
    };
  }
}

export const within = (ms: number, signal: AbortSignal = new AbortController().signal) => ({
  deadline: instant(systemClock.now() + ms),
  signal,
});

/** Waits until the condition holds; throws with the last thing that was seen. */
export async function until<Value>(
  look: () => Value | Promise<Value>,
  isGood: (value: Value) => boolean,
  limitMs = 8000,
): Promise<Value> {
  const end = systemClock.now() + limitMs;
  for (;;) {
    const value = await look();
    if (isGood(value)) return value;
    if (systemClock.now() > end) throw new Error(`still ${JSON.stringify(value)} after ${limitMs} ms`);
    await systemClock.sleep(5);
  }
}
