/** A host made of what a test says: files, command outputs, sockets. Everything that is not said is not there. */
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type Config, parseConfig } from '../../src/config/index.ts';
import { instant } from '../../src/core/index.ts';
import type { CloudProbe } from '../../src/doctor/cloud-probe.ts';
import type { CheckContext, FileKind, Reach } from '../../src/doctor/context.ts';
import type { Finding } from '../../src/doctor/report.ts';
import type { CommandResult } from '../../src/resources/index.ts';
import { configDirectory, GOOD } from '../config/fixture.ts';

// Real certificates: a config names none that are not there.
const fixture = await configDirectory();
afterAll(() => fixture.remove());
export const directory = fixture.directory;

/** The documented example, or a changed one; `node`: as whom. */
export function configOf(text = GOOD, node?: string): Config {
  const { config, problems } = parseConfig(text, join(directory, 'q.yaml'), { node });
  if (config === null) throw new Error(`the config of the test is wrong: ${problems.join('\n')}`);
  return config;
}

/** The example with one text replaced. */
export function configWith(from: string, to: string, node?: string): Config {
  if (!GOOD.includes(from)) throw new Error(`the example has no ${from}`);
  return configOf(GOOD.replace(from, to), node);
}

/** The example with other resources: lines of YAML, without the dash. */
export function configHolding(...resources: readonly string[]): Config {
  const list = resources.map((line) => `\n  - {${line}}`).join('');
  return configOf(`${GOOD.slice(0, GOOD.indexOf('resources:'))}resources:${list === '' ? ' []' : list}\n`);
}

export interface FakeHost {
  /** Contents by path; directories exist by what is in them. */
  files?: Readonly<Record<string, string>>;
  kinds?: Readonly<Record<string, FileKind>>;
  links?: Readonly<Record<string, string>>;
  /** By the command line; a text is an exit with code 0 and that output. */
  commands?: Readonly<Record<string, string | CommandResult>>;
  syncs?: readonly number[] | Error;
  freeBytes?: number;
  reach?: (host: string, localAddress: string | null) => Reach;
  environment?: Readonly<Record<string, string>>;
  cloud?: CloudProbe;
}

export const exited = (code: number, stdout = '', stderr = ''): CommandResult => ({
  kind: 'exited',
  code,
  stdout,
  stderr,
});

const refuse = (what: string) => () => Promise.reject(new Error(`the test does not say: ${what}`));

export function contextOf(fake: FakeHost = {}, parts: Partial<CheckContext> = {}): CheckContext {
  const files = new Map(Object.entries(fake.files ?? {}));
  const kinds = new Map(Object.entries(fake.kinds ?? {}));
  const links = new Map(Object.entries(fake.links ?? {}));
  const paths = (): string[] => [...files.keys(), ...kinds.keys(), ...links.keys()];
  const children = (directory: string): string[] => {
    const prefix = `${directory}/`;
    const names = paths().flatMap((path) =>
      path.startsWith(prefix) ? (path.slice(prefix.length).split('/')[0] ?? '') : [],
    );
    return [...new Set(names)];
  };
  let nowMs = 1000;
  return {
    config: configOf(),
    clock: {
      now: () => instant(nowMs++),
      wallMs: () => Date.parse('2026-11-26T12:00:00Z'),
      after: () => ({ cancel: () => undefined }),
      sleep: () => new Promise(() => undefined),
    },
    commands: {
      run: async (command) => {
        const answer = fake.commands?.[command.join(' ')];
        if (answer === undefined) return { kind: 'missing' };
        return typeof answer === 'string' ? exited(0, answer) : answer;
      },
    },
    files: {
      read: async (path) => files.get(path) ?? null,
      list: async (directory) => (children(directory).length === 0 ? null : children(directory)),
      kindOf: async (path) =>
        kinds.get(path) ?? (files.has(path) ? 'file' : children(path).length > 0 ? 'directory' : null),
      target: async (path) => links.get(path) ?? null,
      realPath: async (path) => links.get(path) ?? path,
      size: async () => 1000,
      freeBytes: async () => fake.freeBytes ?? 1e10,
      timeSyncs: async () => {
        if (fake.syncs instanceof Error) throw fake.syncs;
        return fake.syncs ?? [];
      },
    },
    host: {
      nodeVersion: '20.19.0',
      kernelRelease: '6.1.0',
      environment: fake.environment ?? {},
      interfaces: () => [{ name: 'eth0', addresses: ['10.0.1.10'] }],
      bootMs: () => nowMs + 5000,
    },
    network: {
      connect: async ({ host, localAddress }) =>
        fake.reach?.(host, localAddress) ?? { kind: 'failed', why: 'no answer within 1 ms' },
      certificateOf: refuse('certificates'),
      http: refuse('HTTP'),
    },
    askFacts: refuse('facts'),
    cloud: async () => fake.cloud ?? (await refuse('a cloud')()),
    watchdog: { executor: () => null, open: refuse('a watchdog') },
    entries: refuse('a log'),
    isLogCurrent: async () => true,
    clusterTiming: async () => null,
    armWatchdog: false,
    signal: new AbortController().signal,
    deadline: instant(1e9),
    ...parts,
  };
}

/** "result subject", to compare a whole check at a glance. */
export const brief = (findings: readonly Finding[]): string[] =>
  findings.map(({ result, subject }) => `${result} ${subject}`);

export function one(findings: readonly Finding[], subject: string): Finding {
  const found = findings.filter((finding) => finding.subject === subject);
  const [first] = found;
  if (first === undefined || found.length > 1)
    throw new Error(`${found.length} findings about "${subject}": ${brief(findings).join(', ')}`);
  return first;
}
