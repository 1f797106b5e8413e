import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../cluster/lab/arguments.ts';

const NAMES = ['power-cut', 'isolation'];
const KNOWN = [
  ...NAMES.map((name) => ({ name })),
  { name: 'replication-role-swap', storage: 'replicated' },
  { name: 'replication-nfs', storage: 'replicated', services: 'files' },
] as const;
const parse = (line: string) => parseArguments(line.split(' ').filter(Boolean), KNOWN);

describe('the command line of scripts/lab', () => {
  it.each([
    ['up', { kind: 'up', isBare: false }],
    ['up --bare', { kind: 'up', isBare: true }],
    ['down', { kind: 'down' }],
    ['build-zfs', { kind: 'build-zfs' }],
    ['demo', { kind: 'demo', isJson: false }],
    ['by-hand', { kind: 'by-hand', isJson: false }],
    ['demo --json', { kind: 'demo', isJson: true }],
    ['cut a repl', { kind: 'cut', node: 'a', link: 'repl' }],
    ['heal w svc', { kind: 'heal', node: 'w', link: 'svc' }],
    ['power-off b', { kind: 'power-off', node: 'b' }],
    ['shell a cat /proc/drbd', { kind: 'shell', node: 'a', command: 'cat /proc/drbd' }],
  ])('%s', (line, command) => {
    expect(parse(line).command).toEqual(command);
  });

  it('run: one, several, all; how often, and as JSON', () => {
    expect(parse('run power-cut --json --times 3').command).toMatchObject({
      scenarios: ['power-cut'],
      times: 3,
      isJson: true,
    });
    expect(parse('run power-cut --seed 7').command).toMatchObject({ seed: 7 });
    expect(parse('run power-cut').command).toMatchObject({ seed: null });
    expect(() => parse('run power-cut --seed seven')).toThrow(/--seed seven/);
    expect(() => parse('demo --seed 7')).toThrow(/--seed belongs to "run"/);
    expect(parse('run all').command).toMatchObject({ scenarios: NAMES, times: 1, isJson: false });
    expect(parse('run isolation power-cut').command).toMatchObject({ scenarios: ['isolation', 'power-cut'] });
  });

  it('a lab is made with the quick engine and the product timing unless told otherwise', () => {
    expect(parse('up')).toMatchObject({ engine: 'uml', timing: 'product' });
    expect(parse('run all --timing patient')).toMatchObject({ engine: 'uml', timing: 'patient' });
  });

  it('a scenario of replication brings its lab along, and is no part of any other', () => {
    expect(parse('run replication-role-swap --times 3')).toMatchObject({
      engine: 'qemu',
      timing: 'emulated',
      storage: 'replicated',
      channel: 'ssh',
    });
    expect(parse('run all --engine qemu --storage replicated --channel grpc')).toMatchObject({
      command: { scenarios: ['replication-role-swap'] },
      channel: 'grpc',
    });
    expect(() => parse('run replication-role-swap power-cut')).toThrow(/no scenario .*, with that storage/);
    expect(() => parse('run replication-role-swap --storage zfs --engine qemu')).toThrow(/no scenario/);
    expect(() => parse('up --channel grpc')).toThrow(/--channel needs --storage replicated/);
  });

  it('a scenario that needs services brings them along; others of that storage go into its lab too', () => {
    expect(parse('run replication-nfs')).toMatchObject({
      command: { scenarios: ['replication-nfs'] },
      engine: 'qemu',
      storage: 'replicated',
      services: 'files',
    });
    expect(parse('run replication-role-swap replication-nfs')).toMatchObject({ services: 'files' });
    expect(parse('run all --engine qemu --storage replicated --services files').command).toMatchObject({
      scenarios: ['replication-role-swap', 'replication-nfs'],
    });
    expect(() => parse('run replication-nfs --services store')).toThrow(/no scenario replication-nfs/);
    expect(parse('run all --engine qemu --storage zfs --services files').command).toMatchObject({
      scenarios: NAMES,
    });
  });

  it('QEMU has a timing of its own', () => {
    expect(parse('up --engine qemu')).toMatchObject({ engine: 'qemu', timing: 'emulated' });
    expect(parse('run all --engine=qemu --timing patient')).toMatchObject({
      engine: 'qemu',
      timing: 'patient',
    });
  });

  it('ZFS is for the engine that has it', () => {
    expect(parse('up')).toMatchObject({ storage: 'ext4' });
    expect(parse('up --storage raw')).toMatchObject({ storage: 'raw' });
    expect(parse('run all --engine qemu --storage zfs')).toMatchObject({ storage: 'zfs' });
    expect(() => parse('up --storage zfs')).toThrow(/needs --engine qemu/);
    expect(() => parse('up --storage replicated')).toThrow(/needs --engine qemu/);
    expect(parse('up --engine qemu --storage zfs --services files')).toMatchObject({ services: 'files' });
    expect(parse('up --engine qemu --watchdog off')).toMatchObject({ watchdog: 'off' });
    expect(() => parse('up --watchdog off')).toThrow(/needs --engine qemu/);
    expect(() => parse('up --engine qemu --services files')).toThrow(/needs --storage zfs or replicated/);
    expect(parse('up --engine qemu --storage replicated --services files')).toMatchObject({
      services: 'files',
    });
    expect(() => parse('up --engine qemu --storage btrfs')).toThrow(
      /--storage btrfs: raw, ext4, zfs or replicated/,
    );
  });

  it.each([
    ['', /a command is missing/],
    ['fly', /unknown command fly/],
    ['run', /needs a scenario: all, power-cut, isolation/],
    ['run power-cute', /no scenario power-cute/],
    ['run all --times 0', /--times 0/],
    ['up --json', /belongs to "run", "demo" and "by-hand"/],
    ['demo --times 2', /belongs to "run"/],
    ['demo power-cut', /takes nothing/],
    ['run all --bare', /belongs to "up"/],
    ['cut a', /takes 2 more/],
    ['cut c repl', /no host c/],
    ['cut a mgmt', /no link mgmt/],
    ['shell a', /a host and a command/],
    ['up --timing fast', /product, patient or emulated/],
    ['up --engine kvm', /uml or qemu/],
    ['up --nope', /nope/],
  ])('refuses "%s" in one sentence', (line, sentence) => {
    expect(() => parse(line)).toThrow(RangeError);
    expect(() => parse(line)).toThrow(sentence);
  });
});
