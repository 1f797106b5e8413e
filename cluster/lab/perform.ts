/** A command of `scripts/lab`, done in a lab that is up. */
import { assertNever } from '../../src/core/index.ts';
import { isFor, type LabCommand } from './arguments.ts';
import { powerCutByHand } from './by-hand.ts';
import { demo } from './demo.ts';
import { NODES } from './hosts.ts';
import type { Lab } from './lab.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { runScenario, type ScenarioResult } from './stage.ts';

export interface Output {
  /** For people, as it happens. */
  say(text: string): void;
  /** The result. */
  print(text: string): void;
}

/** Resolves with the exit code. */
export async function perform(lab: Lab, command: LabCommand, output: Output): Promise<number> {
  switch (command.kind) {
    case 'up':
    case 'down':
    case 'build-zfs':
      // Not done in a lab: whoever keeps it does the rest.
      return 0;
    case 'status':
      output.print(await status(lab));
      return 0;
    case 'run':
      return runAll(lab, command, output);
    case 'by-hand': {
      const result = await powerCutByHand(lab);
      output.print(JSON.stringify(result, null, command.isJson ? 0 : 2));
      return result.ok ? 0 : 1;
    }
    case 'demo':
      return demo(lab, command.isJson, output);
    case 'shell': {
      const { exit, output: said } = await lab.run(command.node, command.command);
      output.print(said.replace(/\n$/, ''));
      return exit;
    }
    case 'cut':
      await lab.cut(command.node, command.link);
      return 0;
    case 'heal':
      await lab.heal(command.node, command.link);
      return 0;
    case 'power-off':
      await lab.powerOff(command.node);
      return 0;
    case 'power-on':
      await lab.powerOn(command.node);
      return 0;
    case 'freeze':
      lab.machine(command.node).freeze();
      return 0;
    case 'thaw':
      lab.machine(command.node).thaw();
      return 0;
    default:
      return assertNever(command);
  }
}

async function runAll(
  lab: Lab,
  { scenarios, times, seed, isJson }: Extract<LabCommand, { kind: 'run' }>,
  output: Output,
): Promise<number> {
  let areAllGood = true;
  for (const name of scenarios) {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (scenario === undefined) throw new Error(`no scenario ${name}`);
    const { storage, services } = lab.options;
    if (!isFor(scenario, { storage, services }))
      throw new Error(
        `${name} does not belong into a lab with --storage ${storage} and --services ${services}`,
      );
    for (let count = 0; count < times; count += 1) {
      output.say(`${scenario.name}: ${scenario.about}`);
      const result = await runScenario(lab, scenario, seed ?? drawnSeed());
      output.print(isJson ? JSON.stringify(result) : inWords(result));
      areAllGood &&= result.ok;
      // A lab that a failed scenario has left in pieces proves nothing about the next one.
      if (!result.ok) return 1;
    }
  }
  return areAllGood ? 0 : 1;
}

const drawnSeed = (): number => Math.floor(Math.random() * 2 ** 31);

/** Pure. */
export function inWords(result: ScenarioResult): string {
  const { scenario, ok, outageMs, split, writes, maxHolders, clients, failures, notes } = result;
  const parts =
    split === null
      ? 'nobody took over'
      : Object.entries(split)
          .map(([name, ms]) => `${name.replace(/Ms$/, '')} ${ms}`)
          .join(', ');
  return [
    `${scenario}: ${ok ? 'ok' : 'FAILED'}: outage ${outageMs} ms (${parts}); ${writes.acknowledged} writes acknowledged, ${writes.lost} lost; at most ${maxHolders} held`,
    ...clients.map(
      ({ way, acknowledged, lost, onlyOnOldHolder = 0, longestGapMs }) =>
        `  ${way}: ${acknowledged} acknowledged, ${lost} lost${onlyOnOldHolder === 0 ? '' : `, ${onlyOnOldHolder} only on the old holder`}, longest gap ${longestGapMs} ms`,
    ),
    ...notes.map((note) => `  ${note}`),
    ...failures.map((failure) => `  FAILED: ${failure}`),
  ].join('\n');
}

async function status(lab: Lab): Promise<string> {
  const lines = NODES.map(async (node) => {
    const { power } = lab.machine(node);
    if (power !== 'on') return `${node}: ${power}`;
    try {
      const { leader, holder, nodes } = await lab.status(node);
      const inSync = nodes.filter((one) => one.inSync === true).map(({ id }) => id);
      return `${node}: on, leader ${leader ?? 'none'}, holder ${holder ?? 'none'}, in sync ${inSync.join(' ') || 'none'}`;
    } catch (error) {
      return `${node}: on, ${error instanceof Error ? error.message : String(error)}`;
    }
  });
  return (await Promise.all(lines)).join('\n');
}
