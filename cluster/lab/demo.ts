/** `scripts/demo --real`: what `scripts/demo` shows, on real kernels with real DRBD: scenarios one after the other, and one report. */
import type { Entry } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { type DemoReport, table } from '../local/demo/report.ts';
import type { Lab } from './lab.ts';
import type { Output } from './perform.ts';
import { agentCrash } from './scenarios/agent-crash.ts';
import { executorHang } from './scenarios/executor-hang.ts';
import { freeze } from './scenarios/freeze.ts';
import { isolation } from './scenarios/isolation.ts';
import { linkCut } from './scenarios/link-cut.ts';
import { powerCut } from './scenarios/power-cut.ts';
import { switchover } from './scenarios/switchover.ts';
import { witnessLoss } from './scenarios/witness-loss.ts';
import { runScenario, type Scenario, type ScenarioResult } from './stage.ts';

const SCENES: readonly Scenario[] = [
  switchover,
  agentCrash,
  powerCut,
  executorHang,
  freeze,
  isolation,
  witnessLoss,
  linkCut,
];

type DemoEvent = DemoReport['events'][number];

/** Resolves with the exit code: 1 where a record was lost, two held at once, or a scene did not go as it must. */
export async function demo(lab: Lab, isJson: boolean, output: Output): Promise<number> {
  const events: DemoEvent[] = [];
  const results: ScenarioResult[] = [];
  for (const scene of SCENES) {
    output.say(`${scene.name}: ${scene.about}`);
    const before = await lab.healthy();
    const result = await runScenario(lab, scene);
    results.push(result);
    events.push(eventOf(result, before.node, await lab.entries(), before.epoch));
    // What is left in pieces would say nothing about the next scene.
    if (!result.ok) break;
  }
  const report = reportOf(results, events, await lab.entries());
  const failures = results.flatMap(({ scenario, failures: all }) => all.map((one) => `${scenario}: ${one}`));
  output.print(isJson ? JSON.stringify(report) : ['', table(report), ...failures].join('\n'));
  return failures.length === 0 && report.audit.ok ? 0 : 1;
}

/** `epoch`: of the tenure before. Pure. */
export function eventOf(
  { scenario, outageMs, split }: ScenarioResult,
  from: string,
  entries: readonly Entry[],
  epoch: number,
): DemoEvent {
  const takeover = entries.findLast(({ body }) => body.kind === 'takeover-done' && body.ok)?.body;
  const hasMoved = takeover?.kind === 'takeover-done' && takeover.epoch > epoch;
  return {
    name: scenario,
    from,
    to: hasMoved ? takeover.node : from,
    detectMs: hasMoved ? (split?.detectMs ?? null) : null,
    electMs: hasMoved ? (split?.electMs ?? null) : null,
    takeoverMs: hasMoved ? takeover.totalMs : null,
    outageMs,
  };
}

/** Pure. */
export function reportOf(
  results: readonly ScenarioResult[],
  events: readonly DemoEvent[],
  entries: readonly Entry[],
): DemoReport {
  const { chain, tenures, violations } = audit(entries, sha256);
  const sum = (of: (writes: ScenarioResult['writes']) => number): number =>
    results.reduce((total, { writes }) => total + of(writes), 0);
  return {
    writes: { acknowledged: sum(({ acknowledged }) => acknowledged), lost: sum(({ lost }) => lost) },
    maxHolders: Math.max(...results.map(({ maxHolders }) => maxHolders)),
    events,
    audit: { ok: chain.ok && violations.length === 0 && entries.length > 0, tenures, violations },
  };
}
