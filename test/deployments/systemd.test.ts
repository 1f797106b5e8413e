/** The units, as far as they can be read. What systemd makes of them: systemd-live.test.ts. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { EXIT } from '../../src/errors.ts';
import { filesBelow, ROOT, text } from './support/files.ts';
import { hostDirectory, place } from './support/pki.ts';
import { only, parseUnit, words } from './support/units.ts';

const DIRECTORY = 'cluster/systemd';
const agent = parseUnit(text(`${DIRECTORY}/quorate-agent.service`));
const executor = parseUnit(text(`${DIRECTORY}/quorate-executor.service`));
const target = parseUnit(text(`${DIRECTORY}/quorate.target`));
const both = [
  ['agent', agent],
  ['executor', executor],
] as const;

/** In seconds, of a constant of the agent in ms. */
function agentLimit(name: string): number {
  const match = new RegExp(`const ${name} = ([\\d_]+);`).exec(text('src/agent/agent.ts'));
  if (match === null) throw new Error(`src/agent/agent.ts has no ${name}`);
  return Number(match[1]?.replaceAll('_', '')) / 1000;
}

describe.each(both)('quorate-%s.service', (_, unit) => {
  it('never gives up being started', () => {
    expect(only(unit, 'Service.Restart')).toBe('always');
    expect(only(unit, 'Unit.StartLimitIntervalSec')).toBe('0');
  });

  it('is neither killed for memory, nor swapped out, nor kept from forking', () => {
    expect(only(unit, 'Service.OOMScoreAdjust')).toBe('-1000');
    expect(only(unit, 'Service.OOMPolicy')).toBe('continue');
    expect(only(unit, 'Service.MemorySwapMax')).toBe('0');
    expect(only(unit, 'Service.TasksMax')).toBe('infinity');
  });

  /** systemd.exec(5): what makes a mount namespace, closes devices, or limits what children may do. */
  const ISOLATING =
    /^Service\.(Protect|Private|ReadWritePaths|ReadOnlyPaths|InaccessiblePaths|ExecPaths|NoExecPaths|TemporaryFileSystem|Bind|Root|Mount|DeviceAllow|DevicePolicy|CapabilityBoundingSet|AmbientCapabilities|NoNewPrivileges|RestrictSUIDSGID|RestrictNamespaces|RestrictAddressFamilies|SystemCallFilter|MemoryDenyWriteExecute|DynamicUser|User|Group|NetworkNamespacePath|ProcSubset)/;
  it('shares mounts, devices and rights with the host: a release in a namespace of its own would be a false one (R2)', () => {
    expect([...unit.keys()].filter((key) => ISOLATING.test(key))).toEqual([]);
  });

  it('does not wait for the second port, which is down on purpose', () => {
    expect(words(unit, 'Unit.After')).toContain('network.target');
    expect([...words(unit, 'Unit.After'), ...words(unit, 'Unit.Wants')]).not.toContain(
      'network-online.target',
    );
  });

  it('belongs to quorate.target', () => {
    expect(only(unit, 'Unit.PartOf')).toBe('quorate.target');
    // So that `systemctl stop quorate.target` returns when nothing is held any more.
    expect(words(unit, 'Unit.After')).toContain('quorate.target');
    expect(only(target, 'Unit.DefaultDependencies')).toBe('no');
    expect(only(unit, 'Install.WantedBy')).toBe('quorate.target');
  });

  it('runs programs of this version', () => {
    for (const key of ['Service.ExecStart', 'Service.ExecStopPost'])
      for (const [, program] of (unit.get(key) ?? []).join(' ').matchAll(/\/opt\/quorate\/dist\/(\S+)\.mjs/g))
        expect(text('scripts/build.mjs')).toContain(`${program}: 'src/`);
  });
});

it('L4: the executor looks when a boot has imported what it does, and not before', () => {
  expect(words(executor, 'Unit.After')).toEqual(
    expect.arrayContaining(['zfs-import.target', 'zfs-mount.service', 'drbd.service']),
  );
});

describe('both units', () => {
  it("give an executor the same surroundings: after a crash it runs in the agent's unit (O1)", () => {
    const surroundings = (unit: typeof agent): unknown[] =>
      [...unit].filter(
        ([key]) =>
          key.startsWith('Service.') &&
          !/\.(Exec\w+|Restart\w*|SuccessExitStatus|Timeout\w+|KillMode|RefuseManualStop)$/.test(key),
      );
    expect(surroundings(agent)).toEqual(surroundings(executor));
  });

  it('are wanted by the target, which starts with the host', () => {
    expect(words(target, 'Unit.Wants').sort()).toEqual(['quorate-agent.service', 'quorate-executor.service']);
    expect(only(target, 'Install.WantedBy')).toBe('multi-user.target');
  });
});

describe('the agent', () => {
  it('starts after the executor and stops before it, and runs without it too', () => {
    expect(words(agent, 'Unit.After')).toContain('quorate-executor.service');
    expect(words(agent, 'Unit.Wants')).toContain('quorate-executor.service');
    for (const key of ['Requires', 'BindsTo', 'Requisite']) expect(agent.has(`Unit.${key}`)).toBe(false);
  });

  it('leaves an executor that it has started alone when it is stopped (O1)', () => {
    expect(only(agent, 'Service.KillMode')).toBe('process');
  });

  it('has the time that a hand-over may take', () => {
    const needed = agentLimit('SHUTDOWN_LIMIT_MS') + agentLimit('FAREWELL_LIMIT_MS');
    expect(Number(only(agent, 'Service.TimeoutStopSec'))).toBeGreaterThan(needed + 5);
  });

  it("releases nothing behind the executor's back: a planned restart keeps everything (L7)", () => {
    expect(agent.has('Service.ExecStopPost')).toBe(false);
  });

  it('has not failed where it ends to be started again: otherwise a reload that works is said to have failed (L7)', () => {
    expect(only(agent, 'Service.SuccessExitStatus')).toBe(String(EXIT.restart));
    expect(only(agent, 'Service.Restart')).toBe('always');
  });

  it('is not started again on a directory that cannot be trusted (D2)', () => {
    expect(only(agent, 'Service.RestartPreventExitStatus')).toBe(String(EXIT.hardState));
  });
});

describe('the executor', () => {
  it("stays when its agent goes, and takes nobody's place", () => {
    const options = only(executor, 'Service.ExecStart')
      .split(' ')
      .filter((word) => word.startsWith('--'));
    expect(options).toEqual(['--config', '--stay', '--self-fence']);
    for (const option of options)
      expect(text('src/executor/main.ts')).toMatch(new RegExp(`'?${option.slice(2)}'?: \\{ type`));
  });

  it('cannot be stopped alone, and takes its commands with it', () => {
    expect(only(executor, 'Unit.RefuseManualStop')).toBe('yes');
    expect(only(executor, 'Service.KillMode')).toBe('mixed');
  });

  it('releases after it has ended, but never from under an agent or another executor', () => {
    expect(only(executor, 'Service.ExecStopPost')).toMatch(
      /^\/bin\/sh -c 'grep -qE " \S+\/\(agent\|executor\)\.sock\$" \/proc\/net\/unix \|\| exec .* release --kill-users --config \S+'$/,
    );
  });
});

describe('the shipped configs and the units', () => {
  let directory = '';
  let remove = (): void => undefined;
  beforeAll(async () => {
    ({ directory, remove } = await hostDirectory());
  });
  afterAll(() => remove());

  it.each(filesBelow('cluster', '/quorate.yaml'))('%s fits them', (file) => {
    const { dataDir, resources, timing } = loadConfig(place(`${ROOT}${file}`, directory));
    expect(only(executor, 'Service.ExecStartPost')).toContain(` ${dataDir}/executor.sock$`);
    expect(only(executor, 'Service.ExecStopPost')).toContain(` ${dataDir}/(agent|executor).sock$`);
    expect(`/var/lib/${only(executor, 'Service.StateDirectory')}`).toBe(dataDir);
    // A job that waits for the agent's end, which waits for that job.
    const managed = resources.flatMap((resource) =>
      resource.kind === 'service' && resource.service.kind === 'unit' ? [resource.service.unit] : [],
    );
    expect(managed.length).toBeGreaterThan(0);
    for (const [, unit] of both)
      for (const key of ['After', 'Before', 'Wants', 'Requires', 'PartOf', 'Conflicts'])
        expect(words(unit, `Unit.${key}`).filter((name) => managed.includes(name))).toEqual([]);
    expect(Number(only(executor, 'Service.TimeoutStopSec')) * 1000).toBeGreaterThan(10 * timing.releaseMs);
  });
});

const verifies = ((): boolean => {
  try {
    execFileSync('systemd-analyze', ['--version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
})();

it.skipIf(!verifies)(`systemd-analyze verify finds nothing${verifies ? '' : ' (not installed)'}`, () => {
  const units = ['quorate.target', 'quorate-executor.service', 'quorate-agent.service'].map(
    (name) => `${ROOT}${DIRECTORY}/${name}`,
  );
  // It complains on stderr, and ends well all the same where it has only ignored something.
  const said = execFileSync(
    'sh',
    ['-c', 'systemd-analyze verify --man=no "$@" 2>&1 || true', 'sh', ...units],
    {
      encoding: 'utf8',
    },
  );
  // Node may be elsewhere on this machine.
  expect(said.split('\n').filter((line) => line !== '' && !line.includes('/usr/bin/node'))).toEqual([]);
});
