/**
 * H4: output that is cut off, garbled, repeated, huge or never ending is `unknown`, never a wrong answer.
 *
 * What is wrong: any answer but the true one, as long as the text does not plainly say something else. A garble that
 * turns one address into another is another true text, so a change of a value that matters is judged more mildly: it must
 * not turn "held" into "nothing is left", or the other way round. Everything else that is changed must leave the truth or
 * give `unknown`; a text that is no JSON any more, and a line that is not whole, must give `unknown`.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import {
  type CommandResult,
  type CommandRunner,
  DrbdResource,
  HookResource,
  MountResource,
  PoolMemory,
  PortBlockResource,
  PortResource,
  type ProbeResult,
  type Resource,
  RouteTableResource,
  ServiceResource,
  VirtualIpResource,
  ZfsPoolResource,
} from '../../src/resources/index.ts';
import { CAPTURES as DRBD } from './drbd-captures.ts';
import { CAPTURES, hostWith } from './linux-captures.ts';
import { CAPTURES as ZFS } from './zfs-captures.ts';

type Truth = 'held' | 'partly' | 'not-held';
type Answers = Readonly<Record<string, CommandResult>>;

interface Case {
  readonly title: string;
  readonly truth: Truth;
  readonly make: (runner: CommandRunner) => Resource;
  /** By the beginning of the command. */
  readonly answers: Answers;
  /** Changing one value that matters may turn it round completely: a single address decides. */
  readonly mayTurn?: boolean;
  /** A reading of more than our own: when it cannot be read, narrower ones are asked, which tell the truth. */
  readonly spare?: string;
  /** Something that we never write may as well have been written by hand: it differs from what is wanted. */
  readonly mayDiffer?: boolean;
}

/** For each kind of damage to each case; 3,000 and more for a longer search. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 60);

const said = (stdout: string): CommandResult => ({ kind: 'exited', code: 0, stdout, stderr: '' });
const failed = (code: number, stderr: string): CommandResult => ({
  kind: 'exited',
  code,
  stdout: '',
  stderr,
});
const shared = (runner: CommandRunner) => ({ name: 'nfs', runner, clock: systemClock });

const port = (runner: CommandRunner) =>
  new PortResource({
    ...shared(runner),
    interface: 'eth1',
    addresses: ['10.9.0.1/24', 'fd09::1/64'],
    gateway: null,
  });
const link = (runner: CommandRunner) =>
  new PortResource({ ...shared(runner), interface: 'eth1', addresses: [], gateway: null });
const routes = (runner: CommandRunner) =>
  new RouteTableResource({
    ...shared(runner),
    table: 200,
    interface: 'eth1',
    gateway: '10.9.0.2',
    from: ['10.9.0.1', '10.9.0.128/25'],
    routes: [],
    priority: 100,
  });
const vip = (runner: CommandRunner) =>
  new VirtualIpResource({ ...shared(runner), address: '10.9.0.1/24', interface: 'eth1', announce: true });
const block = (runner: CommandRunner) =>
  new PortBlockResource({
    ...shared(runner),
    ports: [
      { protocol: 'tcp', port: 3260 },
      { protocol: 'tcp', port: 2049 },
    ],
    addresses: ['10.9.0.1', 'fd09::1'],
    resetConnections: false,
  });
const drbd = (runner: CommandRunner) => new DrbdResource({ ...shared(runner), resource: 'r0' });
const unit = (runner: CommandRunner) =>
  new ServiceResource({
    ...shared(runner),
    service: { kind: 'unit', unit: 'nfs-server.service' },
    marker: 'nfs',
  });
const POOL_ANSWERS = { 'zfs list': said(ZFS.datasets), 'zpool list': said(ZFS.vdevs) };
/** With what the kernel says. */
const pool =
  (state: string, mountinfo: string = ZFS.mountinfo) =>
  (runner: CommandRunner) =>
    new ZfsPoolResource({
      ...shared(runner),
      pool: 'tank',
      devices: null,
      loadKeys: false,
      ownHost: 'node-b',
      peerHosts: ['node-a'],
      mayKill: false,
      frozenIo: null,
      memory: new PoolMemory(),
      ownPaths: ['/'],
      devicesBelow: async () => ['/dev/drbd0'],
      kernel: { read: () => state, has: () => true },
      readMounts: () => mountinfo,
      readDevice: (path) => ({ path, number: '147:0' }),
    });
const hook = (runner: CommandRunner) =>
  new HookResource({ ...shared(runner), script: ['/opt/hook'], environment: {}, marker: 'nfs' });

/** Of the whole host; null: the interface is not there. */
const addr = (link: string | null): Answers =>
  link === null
    ? {
        'ip -j addr show': said(hostWith(null)),
        'ip -j addr show dev eth1': failed(1, CAPTURES.noLink),
        'ip -j addr show to': said(CAPTURES.nowhere),
      }
    : { 'ip -j addr show': said(hostWith(link)) };
const vipAt = (places: string): Answers => ({ 'ip -j addr show to 10.9.0.1': said(places) });
const tables = (
  rules: string,
  first: CommandResult,
  second: CommandResult,
  link: string = CAPTURES.linkUp,
): Answers => ({
  'ip -N -j -4 rule': said(rules),
  'ip -j -4 route show table 200': first,
  'ip -j -4 route show table 201': second,
  ...addr(link),
});
const noTable = failed(2, CAPTURES.noTable);
const empty = said(CAPTURES.noRoutes);
const full = said(CAPTURES.routes);
const nft = (result: CommandResult): Answers => ({ 'nft -j list table inet quorate_block_nfs': result });
const events = (text: string): Answers => ({ 'drbdsetup events2': said(text) });
const isActive = (code: number, state: string): Answers => ({
  'systemctl is-active': { kind: 'exited', code, stdout: `${state}\n`, stderr: '' },
});

const CASES: readonly Case[] = [
  { title: 'port up', truth: 'held', make: port, answers: addr(CAPTURES.linkUp) },
  { title: 'link up', truth: 'held', make: link, answers: addr(CAPTURES.linkUp) },
  { title: 'link down', truth: 'not-held', make: link, answers: addr(CAPTURES.linkDown) },
  { title: 'port down', truth: 'not-held', make: port, answers: addr(CAPTURES.linkDown) },
  { title: 'port away', truth: 'not-held', make: port, answers: addr(null), spare: 'ip -j addr show' },
  {
    title: 'port down with an address',
    truth: 'partly',
    make: port,
    answers: addr(CAPTURES.linkDownWithAddress),
  },
  {
    title: 'port without carrier',
    truth: 'partly',
    make: port,
    answers: addr(CAPTURES.linkWithoutCarrier),
  },
  { title: 'routes', truth: 'held', make: routes, answers: tables(CAPTURES.rules, full, noTable) },
  {
    title: 'routes of a dead link',
    truth: 'held',
    make: routes,
    answers: tables(CAPTURES.rules, said(CAPTURES.routesOfDeadLink), noTable),
  },
  {
    title: 'routes, not flushed',
    truth: 'partly',
    make: routes,
    answers: tables(CAPTURES.rules, full, full),
  },
  {
    title: 'routes without rules',
    truth: 'partly',
    make: routes,
    answers: tables(CAPTURES.noRules, full, empty),
  },
  {
    title: 'rules without routes',
    truth: 'partly',
    make: routes,
    answers: tables(CAPTURES.rules, empty, empty),
  },
  { title: 'no routes', truth: 'not-held', make: routes, answers: tables(CAPTURES.noRules, noTable, empty) },
  { title: 'address', truth: 'held', make: vip, answers: vipAt(CAPTURES.here), mayTurn: true },
  { title: 'no address', truth: 'not-held', make: vip, answers: vipAt(CAPTURES.nowhere) },
  { title: 'address on a dead port', truth: 'partly', make: vip, answers: vipAt(CAPTURES.hereDown) },
  {
    title: 'address elsewhere',
    truth: 'partly',
    make: vip,
    answers: vipAt(CAPTURES.elsewhere),
  },
  {
    title: 'ports closed',
    truth: 'not-held',
    make: block,
    answers: nft(said(CAPTURES.blocked)),
    mayDiffer: true,
  },
  { title: 'ports open', truth: 'held', make: block, answers: nft(failed(1, CAPTURES.open)) },
  { title: 'Primary', truth: 'held', make: drbd, answers: events(DRBD.healthyPrimary) },
  { title: 'Primary alone', truth: 'held', make: drbd, answers: events(DRBD.primaryAlone) },
  { title: 'Secondary', truth: 'not-held', make: drbd, answers: events(DRBD.healthySecondary) },
  { title: 'Secondary of 9.x', truth: 'not-held', make: drbd, answers: events(DRBD.nine) },
  { title: 'DRBD down', truth: 'not-held', make: drbd, answers: events('exists -\n') },
  { title: 'unit active', truth: 'held', make: unit, answers: isActive(0, 'active') },
  { title: 'unit inactive', truth: 'not-held', make: unit, answers: isActive(3, 'inactive') },
  {
    title: 'pool',
    truth: 'held',
    make: pool('ONLINE\n'),
    answers: POOL_ANSWERS,
    // Another mount point is another wish.
    mayDiffer: true,
  },
  {
    title: 'pool, not mounted',
    truth: 'partly',
    make: pool('ONLINE\n', ZFS.mountinfo.replace(/^61 .*\n/m, '')),
    answers: POOL_ANSWERS,
  },
  { title: 'unit failed', truth: 'not-held', make: unit, answers: isActive(3, 'failed') },
];

/** Everything that says nothing about holding. */
const IDLE_KEYS = new Set([
  'ifindex',
  'link_index',
  'mtu',
  'qdisc',
  'group',
  'txqlen',
  'link_type',
  'address',
  'broadcast',
  'link_netnsid',
  'label',
  'valid_life_time',
  'preferred_life_time',
  'handle',
  'version',
  'release_name',
]);

function runnerOf(answers: Answers): CommandRunner {
  return {
    run: async (command) => {
      const line = command.join(' ');
      const [key] = Object.keys(answers)
        .filter((candidate) => line.startsWith(candidate))
        .sort((one, two) => two.length - one.length);
      const result = key === undefined ? undefined : answers[key];
      if (result === undefined) throw new Error(`no answer for ${line}`);
      return result;
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };
}

function probe(of: Case, answers: Answers): Promise<ProbeResult> {
  const deadline = instant(systemClock.now() + 10_000);
  return of.make(runnerOf(answers)).probe({ deadline, signal: new AbortController().signal });
}

function answerOf({ probe: answer, isPartial }: ProbeResult): Truth | 'unknown' {
  return isPartial === true ? 'partly' : answer;
}

/** One command of the case, with its text changed. */
function changed(answers: Answers, key: string, change: (text: string) => string): Answers {
  const result = answers[key];
  if (result?.kind !== 'exited') throw new Error(`${key} did not exit`);
  const { code, stdout, stderr } = result;
  return {
    ...answers,
    [key]: { kind: 'exited', code, stdout: change(stdout), stderr: change(stderr) },
  };
}

function textOf(answers: Answers, key: string): string {
  const result = answers[key];
  return result?.kind === 'exited' ? result.stdout || result.stderr : '';
}

/** Keys and lengths, without what lies at the ends. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]);
}

function contentOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(contentOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([key]) => !IDLE_KEYS.has(key))
    .map(([key, inner]) => [key, contentOf(inner)]);
}

function json(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** How strictly an answer to a changed text is judged. */
function damageOf(before: string, after: string): 'none' | 'structure' | 'value' | 'no JSON' {
  const one = json(before);
  // Not JSON in the first place: lines, of which every part counts.
  if (one === null) return 'structure';
  const two = json(after);
  if (two === null) return 'no JSON';
  if (JSON.stringify(shapeOf(one.value)) !== JSON.stringify(shapeOf(two.value))) return 'structure';
  return JSON.stringify(contentOf(one.value)) === JSON.stringify(contentOf(two.value)) ? 'none' : 'value';
}

async function judge(of: Case, key: string, change: (text: string) => string): Promise<void> {
  const before = textOf(of.answers, key);
  const after = change(before);
  const result = await probe(of, changed(of.answers, key, change));
  const answer = answerOf(result);
  const words = `${of.title}: "${answer}" (${result.detail}) for ${JSON.stringify(after.slice(0, 3000))}`;
  switch (damageOf(before, after)) {
    case 'none':
      expect(answer, words).toBe(of.truth);
      return;
    case 'no JSON':
      expect(key === of.spare ? ['unknown', of.truth] : ['unknown'], words).toContain(answer);
      return;
    case 'structure':
      expect(['unknown', of.truth, ...(of.mayDiffer ? ['partly'] : [])], words).toContain(answer);
      return;
    case 'value':
      if (of.mayTurn || of.truth === 'partly') return;
      expect(answer, words).not.toBe(of.truth === 'held' ? 'not-held' : 'held');
      return;
  }
}

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const at = (text: string, where: number): number => Math.floor(where * text.length);

const garble = fc
  .array(fc.tuple(place, byte), { minLength: 1, maxLength: 4 })
  .map((garbles) => (text: string) => {
    const letters = [...text];
    if (letters.length > 0) for (const [where, letter] of garbles) letters[at(text, where)] = letter;
    return letters.join('');
  });
const repeat = fc.tuple(place, place, place).map(([from, to, into]) => (text: string) => {
  const [start = 0, end = 0] = [at(text, from), at(text, to)].sort((a, b) => a - b);
  const target = at(text, into);
  return text.slice(0, target) + text.slice(start, end) + text.slice(target);
});
const swap = fc.tuple(place, place, place).map((places) => (text: string) => {
  const [a = 0, b = 0, c = 0] = places.map((where) => at(text, where)).sort((one, two) => one - two);
  return text.slice(0, a) + text.slice(b, c) + text.slice(a, b) + text.slice(c);
});

describe.each(CASES)('$title', (of) => {
  const keys = Object.keys(of.answers);
  const key = fc.constantFrom(...keys);
  const fuzz = (change: fc.Arbitrary<(text: string) => string>) =>
    fc.assert(
      fc.asyncProperty(key, change, (which, how) => judge(of, which, how)),
      { numRuns: RUNS },
    );

  it('is what it is', async () => {
    expect(answerOf(await probe(of, of.answers))).toBe(of.truth);
  });

  it('cut off anywhere', async () => {
    for (const which of keys) {
      const text = textOf(of.answers, which);
      const result = of.answers[which];
      const isError = result?.kind === 'exited' && result.code !== 0;
      for (let length = 0; length < text.trimEnd().length; length++) {
        const answer = answerOf(
          await probe(
            of,
            changed(of.answers, which, (all) => all.slice(0, length)),
          ),
        );
        // The code of an exit says something even when its sentence is cut; an output that is cut says nothing.
        const allowed = isError || which === of.spare ? ['unknown', of.truth] : ['unknown'];
        expect(allowed, `${which}: ${text.slice(0, length)}`).toContain(answer);
      }
    }
  });

  it('one byte wrong, anywhere', async () => {
    for (const which of keys) {
      for (let index = 0; index < textOf(of.answers, which).length; index++) {
        // A letter where there was none, or a digit: by turns, so that each meets every word somewhere.
        const wrong = index % 2 === 0 ? 'X' : '7';
        await judge(of, which, (text) => `${text.slice(0, index)}${wrong}${text.slice(index + 1)}`);
      }
    }
  });

  it('garbled', () => fuzz(garble));
  it('a part repeated', () => fuzz(repeat));
  it('parts in another order', () => fuzz(swap));

  it('huge, never ending, killed, missing', async () => {
    for (const which of keys) {
      const results: CommandResult[] = [
        { kind: 'died', why: 'more than 256 KiB of output' },
        { kind: 'timed-out', limitMs: 500 },
        { kind: 'aborted' },
        { kind: 'missing' },
        said('['.repeat(100_000)),
        said(`[${'{},'.repeat(60_000)}{}]`),
        said('exists '.repeat(30_000)),
        said('\u0000'.repeat(200_000)),
      ];
      for (const result of results) {
        const allowed = which === of.spare ? ['unknown', of.truth] : ['unknown'];
        expect(allowed).toContain(answerOf(await probe(of, { ...of.answers, [which]: result })));
      }
    }
  });
});

describe('a hook has no text to read', () => {
  it.each([
    [0, 'held'],
    [7, 'not-held'],
  ] as const)('code %i is %s whatever it says', (code, truth) =>
    fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 2000 }), async (text) => {
        const answers = {
          '/opt/hook monitor': { kind: 'exited', code, stdout: text, stderr: text } as const,
        };
        const of = { title: 'hook', truth, make: hook, answers };
        expect(answerOf(await probe(of, answers))).toBe(truth);
      }),
    ),
  );
});

describe('mountinfo', () => {
  const LINE = CAPTURES.mountinfo.trimEnd().split('\n').at(-1) ?? '';
  const read = async (text: string) => {
    const mount = new MountResource({
      ...shared(runnerOf({})),
      device: '/dev/drbd0',
      mountPoint: '/srv/data',
      fstype: null,
      options: null,
      mayKill: false,
      frozenIo: null,
      readMounts: () => text,
      readDevice: (path) => ({ path, number: '147:0' }),
    });
    return answerOf(await mount.probe());
  };

  it('cut off anywhere but between two lines', async () => {
    expect(await read(CAPTURES.mountinfo)).toBe('held');
    for (let length = 0; length < CAPTURES.mountinfo.length; length++) {
      if (CAPTURES.mountinfo[length - 1] === '\n') continue;
      expect(await read(CAPTURES.mountinfo.slice(0, length))).toBe('unknown');
    }
  });

  it('garbled', () =>
    fc.assert(
      fc.asyncProperty(garble, async (change) => {
        const text = change(CAPTURES.mountinfo);
        const answer = await read(text);
        // Another text of the line itself may name another device or another place.
        if (text.includes(LINE)) expect(['held', 'unknown'], text).toContain(answer);
        else expect(['held', 'unknown', 'partly', 'not-held'], text).toContain(answer);
      }),
      { numRuns: 10 * RUNS },
    ));
});

describe("a pool's state", () => {
  const answers = POOL_ANSWERS;
  const read = async (state: string, mountinfo?: string) =>
    answerOf(await probe({ title: 'pool', truth: 'held', make: pool(state, mountinfo), answers }, answers));

  it('cut off anywhere', async () => {
    expect(await read('ONLINE\n')).toBe('held');
    for (let length = 0; length < 'ONLINE\n'.length; length++)
      expect(await read('ONLINE\n'.slice(0, length))).toBe('unknown');
  });

  it('garbled, it never says that the pool is away', () =>
    fc.assert(
      fc.asyncProperty(garble, fc.constantFrom('ONLINE\n', 'DEGRADED\n'), async (change, state) => {
        expect(['held', 'unknown'], change(state)).toContain(await read(change(state)));
      }),
      { numRuns: 10 * RUNS },
    ));

  it('its mounts, cut off anywhere but between two lines', async () => {
    for (let length = 0; length < ZFS.mountinfo.length; length++) {
      if (ZFS.mountinfo[length - 1] === '\n') continue;
      expect(await read('ONLINE\n', ZFS.mountinfo.slice(0, length))).toBe('unknown');
    }
  });
});
