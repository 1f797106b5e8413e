/** What an agent knows at a scrape, to be changed in one place at a time; and a reader of the text format that trusts nothing. */
import { nodeId } from '../../src/core/index.ts';
import { Histogram, type MetricFacts, type ProcessFacts } from '../../src/http/index.ts';
import { HOLDER } from './facts.ts';

const [a, b, w] = [nodeId('a'), nodeId('b'), nodeId('w')];

export const PROCESS: ProcessFacts = {
  version: '0.1.0',
  nodeVersion: '20.19.0',
  certificates: { node: Date.UTC(2027, 0, 1), ca: Date.UTC(2036, 0, 1), refused: null },
};

export function metricFacts(change: Partial<MetricFacts> = {}): MetricFacts {
  const takeoverSeconds = new Histogram([0.025, 0.05, 1]);
  for (const took of [0.02, 0.046, 0.05, 7]) takeoverSeconds.observe(took);
  const releaseSeconds = new Histogram([0.1, 1]);
  releaseSeconds.observe(0.136);
  const logWriteSeconds = new Histogram([0.001, 0.01]);
  return {
    role: HOLDER,
    index: { commit: 12, last: 13, durable: 13 },
    releaseBoundMs: 1000,
    promiseMs: 1642,
    nodes: [
      { id: a, isInSync: true, isOnStandby: false, isReachable: true, matchIndex: 13 },
      { id: b, isInSync: false, isOnStandby: true, isReachable: false, matchIndex: 9 },
      { id: w, isInSync: null, isOnStandby: false, isReachable: true, matchIndex: null },
    ],
    probes: {
      peers: { b: 'not-in-sync' },
      ioSuspended: false,
      resources: [{ name: 'block', kind: 'drbd', probe: 'held' }],
    },
    failedChecks: 0,
    counted: {
      elections: new Map([
        ['leader-silent', 2],
        ['transfer', 1],
      ]),
      ...{ campaigns: 1, roleChanges: 3, executorLosses: 0, refusalsToHold: 0 },
      takeovers: { ok: 4, failed: 1 },
      takeoverSeconds,
      lastTakeover: { ms: 46.25, at: Date.UTC(2026, 0, 2) },
      releases: { planned: 1, abrupt: 1 },
      releaseSeconds,
      lastRelease: { ms: 136, boundMs: 1000 },
      logWriteSeconds,
    },
    replication: [
      {
        dataset: 'tank/home',
        state: 'sending',
        common: { takenAt: Date.UTC(2026, 0, 2) - 90_000 },
        periodMs: 60_000,
        progress: { bytes: 1024, totalBytes: 4096, bytesPerSecond: null },
        sentBytes: 8192,
        failures: 2,
      },
    ],
    pools: [
      {
        ...{ pool: 'tank', role: 'source', peer: 'b', copy: 'up-to', upTo: '2026-01-01T23:58:30.000Z' },
        ...{ why: null, byItself: null, problem: null, sending: [], conflicts: 0, late: 0 },
        ...{ trouble: [], omitted: 0 },
      },
    ],
    wallMs: Date.UTC(2026, 0, 2),
    ...change,
  };
}

export interface ReadFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: {
    readonly name: string;
    readonly labels: Record<string, string>;
    readonly value: number;
  }[];
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/y;
const NUMBER = /^(?:NaN|[+-]Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

/** Throws at the first thing that the format does not allow: what `promtool check metrics` calls a parse error. */
export function readExposition(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, ReadFamily>();
  const seen = new Set<string>();
  let current: { name: string; family: ReadFamily } | null = null;
  let help: [name: string, text: string] | null = null;
  for (const line of text.slice(0, -1).split('\n')) {
    const [, about, ofName = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (about === 'HELP') help = [ofName, rest];
    else if (about === 'TYPE') {
      if (help?.[0] !== ofName) throw new Error(`no HELP before ${line}`);
      if (families.has(ofName)) throw new Error(`${ofName} comes twice`);
      current = { name: ofName, family: { type: rest, help: help[1], samples: [] } };
      families.set(ofName, current.family);
    } else {
      const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (!NUMBER.test(value)) throw new Error(`not a sample: ${line}`);
      const base = current?.family.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
      if (current === null || base !== current.name) throw new Error(`${name} stands under another TYPE`);
      if (seen.has(`${name}{${labelText}}`)) throw new Error(`twice: ${line}`);
      seen.add(`${name}{${labelText}}`);
      current.family.samples.push({
        name,
        labels: readLabels(labelText),
        value: Number(value.replace('Inf', 'Infinity')),
      });
    }
  }
  for (const [name, { samples }] of families)
    if (samples.length === 0) throw new Error(`${name} has no sample`);
  return families;
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    LABEL.lastIndex = at;
    const [, name, value = ''] = LABEL.exec(text) ?? [];
    if (name === undefined || Object.hasOwn(labels, name)) throw new Error(`not labels: ${text}`);
    labels[name] = value.replaceAll(/\\(.)/g, (_all, one: string) => (one === 'n' ? '\n' : one));
  }
  return labels;
}
