/**
 * A small language for scenarios that people want to read: files of blocks, each some lines of commands, a line `----`, and
 * what happened, up to an empty line. `#` begins a comment. Nodes are ids, or `$holder`, `$other`, `$witness`.
 *
 *     cluster SHAPE [seed N]          mirror, pair, unwatched, service, bare; starts it and waits until all is well
 *     wait 2s | wait 300ms
 *     until NODE holds | until nobody holds | until NODE leads | until well | until NODE is outdated
 *     switchover [to NODE]            as an operator, of whoever leads; says how it ends
 *     pause | resume | standby NODE | activate NODE
 *                                     as an operator, of whoever leads (H7)
 *     failover to NODE                as an operator who accepts the loss, of whoever leads (O3)
 *     restart NODE [within TIME] [away TIME]
 *                                     the agent of that node is asked to restart (L7), and started again after so long
 *     cloud late | denied | fine      every mutating call executes late, or every call is refused
 *     KIND [NODE [OTHER]] [for TIME] [chance 0 to 1]
 *                                     any fault of faults.ts; the chance is what is left to it, as which command fails
 *     heal                            no more faults
 *     holders | in-sync | address     what is so now, by the models and the log
 *
 * The result of a block is what the run has told since the block before, without its times: who leads, holds, commits, and
 * what the devices did. Whoever holds first is called A, the others B and C (a witness W): which of them it is, is chance.
 */
import { type NodeId, nodeId } from '../../src/core/index.ts';
import { Cluster } from './cluster.ts';
import { FAULT_KINDS, type Fault, type FaultKind } from './faults.ts';
import { inflict } from './inflict.ts';
import { FINE } from './models/cloud.ts';
import { SHAPES, type Shape } from './profiles.ts';

const UNTIL_LIMIT_MS = 60_000;
const FOR_GOOD_MS = 10_000_000;
/** Both ends tell the same, in an order that is chance. */
const CONNECTION = /^\w+ +\w+ connection \w+$/;
const CALM = { delayMs: [0.2, 2], loss: 0, duplicate: 0 } as const;

const CLOUD = { late: { ...FINE, late: 1 }, denied: { ...FINE, denied: 1 }, fine: FINE };

export interface Block {
  readonly line: number;
  readonly text: readonly string[];
  readonly commands: readonly string[];
  readonly expected: readonly string[];
}

export function parseStory(text: string): Block[] {
  const blocks: Block[] = [];
  let commands: string[] = [];
  let lines: string[] = [];
  const all = text.split('\n');
  for (let position = 0; position < all.length; position += 1) {
    const line = all[position] ?? '';
    if (line !== '----') {
      lines.push(line);
      if (line.trim() !== '' && !line.startsWith('#')) commands.push(line.trim());
      continue;
    }
    const end = all.indexOf('', position + 1);
    const expected = all.slice(position + 1, end < 0 ? all.length : end);
    blocks.push({ line: position - commands.length + 1, text: lines, commands, expected });
    commands = [];
    lines = [];
    position = end < 0 ? all.length : end;
  }
  return blocks;
}

/** The file with what happened in place of what was expected. */
export function printStory(blocks: readonly Block[], told: readonly (readonly string[])[]): string {
  return blocks
    .map(({ text }, position) => [...text, '----', ...(told[position] ?? []), ''].join('\n'))
    .join('\n');
}

export class Story {
  #cluster: Cluster | null = null;
  #told = 0;
  #says: string[] = [];
  #names = new Map<string, string>();

  /** @throws Error for a command that it does not know, naming it */
  async run(block: Block): Promise<string[]> {
    this.#says = [];
    for (const command of block.commands) {
      await this.#command(command);
      this.#collect();
    }
    const violation = this.#cluster?.world.violation ?? null;
    if (violation !== null) this.#says.push(`VIOLATION of ${violation.rule}: ${violation.what}`);
    return this.#says;
  }

  async #command(command: string): Promise<void> {
    const words = command.split(/\s+/);
    const [verb = ''] = words;
    if (verb === 'cluster') return this.#begin(words);
    const cluster = this.#need();
    switch (verb) {
      case 'wait':
        return cluster.world.run(cluster.world.now + timeOf(words[1] ?? ''));
      case 'until':
        return this.#until(command.slice('until '.length));
      case 'switchover':
        return this.#switchover(words[2] === undefined ? null : nodeId(this.#node(words[2])));
      case 'pause':
      case 'resume':
        return this.#order(verb, nodeId('a'));
      case 'standby':
      case 'activate':
        return this.#order(verb, nodeId(this.#node(words[1] ?? '')));
      case 'restart':
        return this.#restart(words);
      case 'failover':
        return this.#failover(nodeId(this.#node(words[2] ?? '')));
      case 'cloud':
        cluster.cloud.trouble = CLOUD[words[1] as keyof typeof CLOUD] ?? FINE;
        return;
      case 'heal':
        return cluster.heal();
      case 'holders':
        return void this.#says.push(this.#renamed(`can write: ${cluster.holders.join(' ') || 'nobody'}`));
      case 'in-sync':
        return void this.#says.push(
          `in sync: ${this.#inSync()
            .map((id) => this.#renamed(id))
            .sort()
            .join(' ')}`,
        );
      case 'address':
        return void this.#says.push(this.#renamed(`the address is at ${cluster.cloud.owner ?? 'nobody'}`));
      default:
        return inflict(cluster, this.#fault(words));
    }
  }

  async #begin(words: readonly string[]): Promise<void> {
    const shape: Shape | undefined = SHAPES[words[1] as keyof typeof SHAPES];
    if (shape === undefined) throw new Error(`no shape "${words[1]}": ${Object.keys(SHAPES).join(', ')}`);
    this.#cluster = new Cluster(Number(words[3] ?? 1), shape, CALM);
    if (!(await this.#cluster.begin())) throw new Error('the cluster does not begin');
    await this.#cluster.world.runUntil(() => this.#cluster?.whatIsMissing() === null, UNTIL_LIMIT_MS);
    this.#name(this.#cluster);
    this.#told = this.#cluster.world.story.length;
    this.#says.push('A holds, everybody has the same log');
  }

  #name(cluster: Cluster): void {
    const [first = ''] = cluster.holders;
    const others = cluster.shape.members.filter(({ id }) => id !== first);
    const letters = ['B', 'C'];
    this.#names = new Map([
      [first, 'A'],
      ...others.map(({ id, witness }): [string, string] => [id, witness ? 'W' : (letters.shift() ?? id)]),
    ]);
  }

  /** Ids stand alone or behind `eni-`; no other word is a single small letter. */
  #renamed(line: string): string {
    return line.replaceAll(/(?<![\w"])(eni-)?([a-z])(?!\w)/g, (all, eni = '', id: string) => {
      const name = this.#names.get(id);
      return name === undefined ? all : `${eni}${name}`;
    });
  }

  async #until(condition: string): Promise<void> {
    const cluster = this.#need();
    const words = condition.split(' ');
    const node = condition === 'well' || words[0] === 'nobody' ? '' : this.#node(words[0] ?? '');
    const isSo = (): boolean => {
      if (condition === 'well') return cluster.whatIsMissing() === null;
      if (words[0] === 'nobody') return cluster.holders.length === 0;
      if (words[1] === 'leads') return cluster.leader?.id === node;
      if (words[1] === 'is') return !this.#inSync().includes(nodeId(node));
      return cluster.isServing && cluster.holders.includes(node);
    };
    if (!(await cluster.world.runUntil(isSo, UNTIL_LIMIT_MS, 5)))
      this.#says.push(`NOT WITHIN ${UNTIL_LIMIT_MS / 1000} s: ${condition}`);
  }

  async #switchover(to: NodeId | null): Promise<void> {
    const cluster = this.#need();
    return this.#ordered('switchover', (onEnd) => cluster.leader?.switchover(to, onEnd));
  }

  async #order(what: 'pause' | 'resume' | 'standby' | 'activate', on: NodeId): Promise<void> {
    const cluster = this.#need();
    return this.#ordered(what, (onEnd) => cluster.leader?.order(what, on, onEnd));
  }

  async #failover(to: NodeId): Promise<void> {
    const cluster = this.#need();
    return this.#ordered('failover', (onEnd) => cluster.leader?.failover(to, onEnd));
  }

  async #restart(words: readonly string[]): Promise<void> {
    const cluster = this.#need();
    const after = (word: string): string | undefined => words[words.indexOf(word) + 1 || words.length];
    const node = cluster.node(this.#node(words[1] ?? ''));
    const [within, away] = [after('within'), after('away')];
    if (away !== undefined) node.comeBackMs = [timeOf(away), timeOf(away)];
    return this.#ordered('restart', (onEnd) =>
      node.restart(within === undefined ? null : timeOf(within), onEnd),
    );
  }

  async #ordered(what: string, order: (onEnd: (how: string) => void) => void): Promise<void> {
    let outcome: string | null = null;
    order((how) => {
      outcome = `${what}: ${how}`;
    });
    await this.#need().world.runUntil(() => outcome !== null, UNTIL_LIMIT_MS, 5);
    this.#collect();
    this.#says.push(this.#renamed(outcome ?? `${what}: no answer`));
  }

  #fault(words: readonly string[]): Fault {
    const [kind = '', ...rest] = words;
    if (!FAULT_KINDS.includes(kind as FaultKind)) throw new Error(`no command "${kind}"`);
    const after = (word: string): string | undefined => rest[rest.indexOf(word) + 1 || rest.length];
    const end = rest.findIndex((word) => word === 'for' || word === 'chance');
    const names = (end < 0 ? rest : rest.slice(0, end)).map((name) => this.#node(name));
    const lasts = after('for');
    const ms = lasts === undefined ? FOR_GOOD_MS : timeOf(lasts);
    const chance = Number(after('chance') ?? 0);
    const [first] = this.#need().shape.members;
    return {
      at: 0,
      kind: kind as FaultKind,
      node: names[0] ?? first?.id ?? '',
      other: names[1] ?? '',
      ms,
      chance,
    };
  }

  #node(name: string): string {
    const cluster = this.#need();
    const tenure = cluster.consensus.committed.findLast(({ body }) => body.kind === 'tenure-granted')?.body;
    const holder = tenure?.kind === 'tenure-granted' ? tenure.node : null;
    const members = cluster.shape.members;
    const found =
      name === '$holder'
        ? holder
        : name === '$witness'
          ? members.find(({ witness }) => witness)?.id
          : name === '$other'
            ? members.find(({ id, witness }) => !witness && id !== holder)?.id
            : name;
    if (found == null || !cluster.nodes.has(found)) throw new Error(`no node "${name}"`);
    return found;
  }

  #inSync(): readonly NodeId[] {
    const views = [...this.#need().nodes.values()].flatMap(({ view }) => (view === null ? [] : [view]));
    const newest = views.sort((left, right) => right.commitIndex - left.commitIndex)[0];
    return newest?.state.inSync ?? [];
  }

  #collect(): void {
    const { story } = this.#need().world;
    // Time stands in the first columns.
    const lines = story.slice(this.#told).map((line) => line.slice(11));
    this.#told = story.length;
    this.#says.push(...lines.filter((line) => !CONNECTION.test(line)).map((line) => this.#renamed(line)));
  }

  #need(): Cluster {
    if (this.#cluster === null) throw new Error('a story begins with "cluster"');
    return this.#cluster;
  }
}

function timeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text);
  if (match === null) throw new Error(`no time "${text}": write 300ms or 2s`);
  return Number(match[1]) * (match[2] === 's' ? 1_000 : 1);
}
