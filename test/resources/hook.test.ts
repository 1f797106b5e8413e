/** A user's script, run by the real command runner. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { ChildRunner } from '../../src/executor/commands.ts';
import { isGone, startTimeOf } from '../../src/executor/processes.ts';
import { HookResource } from '../../src/resources/index.ts';
import { until, within } from './support/namespaces.ts';

let directory: string;
let runner: ChildRunner;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-hook-'));
  runner = new ChildRunner(directory, systemClock);
});
afterEach(async () => {
  await runner.killLeftovers();
  rmSync(directory, { recursive: true, force: true });
});

/** `$1` is an argument of the config, `$2` the action. */
function hook(body: string): HookResource {
  const path = join(directory, 'hook.sh');
  writeFileSync(path, `#!/bin/sh\ncd ${directory}\n${body}\n`, { mode: 0o755 });
  return new HookResource({
    name: 'tunnel',
    script: [path, 'config-argument'],
    environment: { TUNNEL: 'left', QUORATE_RESOURCE: 'a name that never arrives' },
    marker: `${directory}#tunnel`,
    runner,
    clock: systemClock,
  });
}
const acquire = (of: HookResource) => of.acquire({ ...within(5000), previousReleased: true });
const release = (of: HookResource, mode: 'planned' | 'abrupt', ms = 5000) =>
  of.release({ ...within(ms), mode });
const lines = (name: string) => readFileSync(join(directory, name), 'utf8').trim().split('\n');

const WELL_BEHAVED = `case $2 in
  start) touch up; echo "tunnel is up";;
  stop) rm -f up;;
  monitor) [ -e up ] || exit 7;;
esac`;

describe('hook', () => {
  it('starts, is monitored, stops; each as often as one likes', async () => {
    const tunnel = hook(WELL_BEHAVED);
    expect(await tunnel.probe(within(2000))).toEqual({ probe: 'not-held', detail: 'does not run' });
    expect(await acquire(tunnel)).toBe('tunnel is up');
    await acquire(tunnel);
    expect((await tunnel.probe(within(2000))).probe).toBe('held');
    expect(await release(tunnel, 'planned')).toBe('stopped');
    await release(tunnel, 'abrupt');
    expect((await tunnel.probe(within(2000))).probe).toBe('not-held');
  });

  it('ends what somebody else has started, before the first start of a tenure; later it is its own', async () => {
    const tunnel = hook(`echo "$2" >> calls\n${WELL_BEHAVED}`);
    writeFileSync(join(directory, 'up'), '');
    await tunnel.acquire({ ...within(5000), previousReleased: true, isFirst: true });
    expect(lines('calls')).toEqual(['monitor', 'stop', 'monitor', 'start']);
    await tunnel.acquire({ ...within(5000), previousReleased: true, isFirst: false });
    expect(lines('calls').slice(4)).toEqual(['start']);
  });

  it('tells the script who asks, how, and how long it has', async () => {
    const tunnel = hook(
      '[ -n "$QUORATE_MODE" ] || QUORATE_MODE=unset\n' +
        'echo "$1 $2 $TUNNEL $QUORATE_RESOURCE $QUORATE_MODE $QUORATE_TIME_LEFT_MS" >> calls',
    );
    await acquire(tunnel);
    await tunnel.probe(within(2000));
    await release(tunnel, 'planned');
    await release(tunnel, 'abrupt');
    const calls = lines('calls').map((line) => line.split(' '));
    expect(calls.map((call) => call.slice(0, 5).join(' '))).toEqual([
      'config-argument start left tunnel unset',
      'config-argument monitor left tunnel unset',
      'config-argument stop left tunnel planned',
      'config-argument stop left tunnel abrupt',
    ]);
    const leftMs = calls.map((call) => Number(call.at(-1)));
    expect(leftMs[0]).toBeGreaterThan(0);
    expect(leftMs[0]).toBeLessThanOrEqual(5000);
    // R1: the rest of the budget belongs to the block device.
    expect(leftMs[3]).toBeLessThanOrEqual(2000);
  });

  it.each([
    [0, 'held'],
    [7, 'not-held'],
    [1, 'unknown'],
    [5, 'unknown'],
    [126, 'unknown'],
  ] as const)('H4: monitor ends with code %i: %s', async (code, probe) => {
    expect((await hook(`exit ${code}`).probe(within(2000))).probe).toBe(probe);
  });

  it('H4: a monitor that hangs or is not there is unknown', async () => {
    expect((await hook('sleep 60').probe(within(200))).probe).toBe('unknown');
    const tunnel = hook('exit 0');
    rmSync(join(directory, 'hook.sh'));
    expect((await tunnel.probe(within(2000))).probe).toBe('unknown');
    await expect(acquire(tunnel)).rejects.toMatchObject({ code: 'command-missing' });
  });

  it('start with 7 and stop with 1 are errors in the words of the script; stop with 7 is not', async () => {
    await expect(acquire(hook('echo "no route" >&2; exit 7'))).rejects.toThrow(/code 7: no route/);
    await expect(release(hook('echo "busy" >&2; exit 1'), 'planned')).rejects.toThrow(/busy/);
    expect(await release(hook('exit 7'), 'planned')).toBe('stopped');
  });

  it('R1: abruptly its processes are killed, even if stop hangs, within the budget', async () => {
    const tunnel = hook(`case $2 in
      start) setsid sh -c 'echo $$ > daemon; while :; do sleep 1; done' > /dev/null 2>&1 & ;;
      stop) sleep 60;;
    esac`);
    await acquire(tunnel);
    const pid = await until(
      () => {
        try {
          return Number(readFileSync(join(directory, 'daemon'), 'utf8'));
        } catch {
          return 0;
        }
      },
      (value) => value > 0,
    );
    const startTime = startTimeOf(pid) ?? '';
    // How many there are at that moment is the shell's business.
    expect(await release(tunnel, 'abrupt', 3000)).toMatch(/^killed [1-9]\d* processes, stop timed-out$/);
    expect(isGone({ pid, startTime })).toBe(true);
  });
});
