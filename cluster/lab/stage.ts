/** What a scenario acts on and looks at, and what is checked after every scenario, whatever it was about. */
import type { Entry } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import type { ClientResult } from './client-host.ts';
import type { EngineName } from './engine.ts';
import { FileClients } from './file-clients.ts';
import { type DataNode, type NodeName, peerOf } from './hosts.ts';
import type { Holder, Lab } from './lab.ts';
import { now } from './now.ts';
import { Observer } from './observer.ts';
import { outageMs } from './outage.ts';
import { PACES, type Pace, type ServiceName, type StorageName } from './plan.ts';
import { type Split, splitOf } from './split.ts';

/** So many times some writes come before the event. */
export const WARM_UP = 5;
/** Takeovers take seconds; a machine that is busy with other things makes many of them, an emulated one more. */
const MOVE_LIMIT_MS = 300_000;
const SERVE_LIMIT_MS = 300_000;
const LOOK_EVERY_MS = 100;

export interface Scenario {
  readonly name: string;
  /** What happens, and what must hold. */
  readonly about: string;
  /** The witness's host goes down in it, and with it the clients of NFS and iSCSI, which are left out. */
  readonly stopsClientHost?: true;
  /** It is about that, and runs in no other lab. Not said: in any but those of such scenarios. */
  readonly storage?: StorageName;
  /** It needs these. */
  readonly services?: ServiceName;
  run(stage: Stage): Promise<void>;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly engine: EngineName;
  readonly ok: boolean;
  readonly outageMs: number;
  /** Of the last takeover; null where nobody took over. */
  readonly split: Split | null;
  /** Of the store's client and of all others. */
  readonly writes: { readonly acknowledged: number; readonly lost: number };
  readonly maxHolders: number;
  /** Where the lab serves files. */
  readonly clients: readonly ClientResult[];
  readonly failures: readonly string[];
  readonly notes: readonly string[];
}

export class Stage {
  readonly lab: Lab;
  readonly observer: Observer;
  /** Of what a scenario draws: said by whoever draws, so that it can be had again. */
  readonly seed: number;
  readonly #start: Holder;
  readonly #failures: string[] = [];
  readonly #notes: string[] = [];
  #clients: readonly ClientResult[] = [];
  #faultAt: number | null = null;

  constructor(lab: Lab, observer: Observer, start: Holder, seed: number) {
    this.lab = lab;
    this.observer = observer;
    this.seed = seed;
    this.#start = start;
  }

  /** Who held when the scenario began, and the other data node. */
  get holder(): DataNode {
    return this.#start.node;
  }
  get standby(): DataNode {
    return peerOf(this.#start.node);
  }
  get #pace(): Pace {
    return PACES[this.lab.options.timing];
  }
  get failures(): readonly string[] {
    return this.#failures;
  }
  get notes(): readonly string[] {
    return this.#notes;
  }
  get clients(): readonly ClientResult[] {
    return this.#clients;
  }
  get faultAt(): number | null {
    return this.#faultAt;
  }

  say(text: string): void {
    this.lab.options.say(text);
  }

  /** The outage is counted from the last one on. Rejects where it would happen to another holder than the scenario is about. */
  async fault(what: string, happens: () => Promise<unknown> | unknown): Promise<void> {
    const holder = await this.lab.holder();
    if (holder !== null && holder.epoch !== this.#start.epoch)
      throw new Error(
        `${holder.node} has taken over before the event: this machine is too busy, or --timing too strict`,
      );
    this.say(what);
    this.#faultAt = now();
    await happens();
  }

  note(text: string): void {
    this.say(text);
    this.#notes.push(text);
  }

  /** Of clients that the scenario has for itself. */
  report(clients: readonly ClientResult[]): void {
    this.#clients = clients;
  }

  /** A false `isTrue` fails the scenario, which goes on. */
  expect(isTrue: boolean, sentence: string): void {
    if (isTrue) return;
    this.say(`FAILED: ${sentence}`);
    this.#failures.push(sentence);
  }

  waitFor(what: string, condition: () => Promise<boolean> | boolean, limitMs = MOVE_LIMIT_MS): Promise<void> {
    return this.lab.waitFor(what, condition, limitMs);
  }

  /** The node has completed the takeover of a newer tenure than the scenario began with. */
  takenOver(node: DataNode): Promise<Holder> {
    return this.movedOrKept([node]);
  }

  /** A newer tenure is complete, of one of these. */
  async movedOrKept(nodes: readonly DataNode[]): Promise<Holder> {
    let found: Holder | null = null;
    await this.waitFor(`${nodes.join(' or ')} has taken over`, async () => {
      found = await this.lab.holder();
      return found !== null && nodes.includes(found.node) && found.epoch > this.#start.epoch;
    });
    const holder = found as Holder | null;
    if (holder === null) throw new Error('no holder');
    this.say(`${holder.node} has taken over`);
    return holder;
  }

  /** The client's writes are acknowledged again, some more of them; `times` as many. */
  async served(times = 1): Promise<void> {
    const enoughWrites = this.lab.acknowledgements.length + times * this.#pace.someWrites;
    const enough = (): boolean => this.lab.acknowledgements.length >= enoughWrites;
    await this.waitFor('the client is served', enough, SERVE_LIMIT_MS);
  }

  async healthy(): Promise<void> {
    await this.lab.healthy(MOVE_LIMIT_MS);
  }

  /** For a while the node is not Primary, and no agent says that it holds. */
  async neverHolds(node: DataNode, forMs: number): Promise<void> {
    const end = now() + forMs;
    while (now() < end) {
      const look = this.observer.last(node);
      if (look?.role === 'Primary') return this.expect(false, `${node} became Primary`);
      const holder = await this.lab.holder();
      if (holder?.node === node) return this.expect(false, `${node} holds`);
      await new Promise((next) => setTimeout(next, LOOK_EVERY_MS));
    }
  }

  sinceFaultMs(): number {
    return this.#faultAt === null ? 0 : now() - this.#faultAt;
  }

  /** As the kernel says it. A guest that does not answer for a moment proves nothing: it is asked again. */
  async expectRole(node: DataNode, role: 'Primary' | 'Secondary'): Promise<void> {
    await this.waitFor(`${node} answers`, () => this.role(node) !== null);
    this.expect(this.role(node) === role, `${node} is ${this.role(node)}, not ${role}`);
  }

  /** DRBD's role as the kernel says it; null when it does not answer. */
  role(node: DataNode): string | null {
    return this.observer.last(node)?.role ?? null;
  }

  entriesSince(index: number): Promise<readonly Entry[]> {
    return this.lab.entries().then((entries) => entries.filter((entry) => entry.index > index));
  }

  /** Ends everything: what was cut, frozen or off is whole again. */
  async restore(cutOff: readonly NodeName[] = []): Promise<void> {
    for (const node of cutOff) if (this.lab.machine(node).power === 'off') await this.lab.powerOn(node);
    await this.healthy();
  }
}

export async function runScenario(lab: Lab, scenario: Scenario, seed = 1): Promise<ScenarioResult> {
  const start = await lab.healthy();
  const before = (await lab.entries()).length;
  const pace = PACES[lab.options.timing];
  const observer = new Observer(() => lab.addressLeadsTo(), pace);
  const stage = new Stage(lab, observer, start, seed);
  observer.start();
  await lab.startWriting();
  const clients = hasFileClients(lab, scenario) ? new FileClients(lab) : null;
  try {
    await clients?.start();
    await stage.served(WARM_UP);
    await scenario.run(stage);
    await stage.served();
    await clients?.served();
  } catch (error) {
    stage.expect(false, error instanceof Error ? error.message : String(error));
  }
  const endedAt = now();
  await lab.stopWriting();
  await observer.stop();
  const stored = await verified(stage, WARM_UP * pace.someWrites);
  const fileResults = clients === null ? stage.clients : await verifiedFiles(stage, clients);
  const all = [stored, ...fileResults.filter(({ way }) => !way.endsWith('-reads'))];
  const total = (what: 'acknowledged' | 'lost'): number => all.reduce((sum, one) => sum + one[what], 0);
  const entries = await logOf(stage);
  for (const { what } of audit(entries, sha256).violations)
    stage.expect(false, `the log breaks a rule: ${what}`);
  const maxHolders = observer.maxHolders(lab.acknowledgements);
  stage.expect(maxHolders === 1, `${maxHolders} nodes held at once`);
  stage.expect(observer.looks > 0, 'the observer saw nothing');
  const from = stage.faultAt ?? endedAt;
  return {
    scenario: scenario.name,
    engine: lab.options.engine.name,
    ok: stage.failures.length === 0,
    outageMs: Math.round(outageMs(lab.acknowledgements, from, endedAt)),
    split: splitOf(entries, before),
    writes: { acknowledged: total('acknowledged'), lost: total('lost') },
    maxHolders,
    clients: fileResults,
    failures: stage.failures,
    notes: stage.notes,
  };
}

/** Not where a takeover may lose what a client was told is stored: a scenario that is about it has its own. */
function hasFileClients({ options }: Lab, scenario: Scenario): boolean {
  const isKept = options.services === 'files' && options.storage !== 'replicated';
  return isKept && scenario.stopsClientHost !== true;
}

/** An agent that is slow for a moment is asked again: no log is no proof. */
async function logOf(stage: Stage): Promise<readonly Entry[]> {
  let entries: readonly Entry[] = [];
  const isRead = async (): Promise<boolean> => {
    entries = await stage.lab.entries();
    return entries.length > 0;
  };
  await stage
    .waitFor('the log can be read', isRead)
    .catch((error: unknown) => stage.expect(false, error instanceof Error ? error.message : String(error)));
  return entries;
}

/** Every acknowledged record must be there, with its content. */
async function verified(stage: Stage, atLeast: number): Promise<ScenarioResult['writes']> {
  try {
    const { acknowledged, lost } = await stage.lab.verifyRecords();
    stage.expect(lost.length === 0, `${lost.length} acknowledged records are lost, the first is ${lost[0]}`);
    stage.expect(acknowledged > atLeast, 'hardly anything was written');
    return { acknowledged, lost: lost.length };
  } catch (error) {
    // Not read is not "not lost".
    const { length } = stage.lab.acknowledgements;
    stage.expect(
      false,
      `the records could not be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return { acknowledged: length, lost: length };
  }
}

/** As `verified`, for the clients of NFS and iSCSI, none of which may have met an error. */
async function verifiedFiles(stage: Stage, clients: FileClients): Promise<readonly ClientResult[]> {
  try {
    await clients.stop();
    const holder = await stage.lab.holder();
    if (holder === null) throw new Error('nobody holds');
    const results = await clients.results(holder.node);
    for (const { way, acknowledged, lost, errors } of results) {
      stage.expect(acknowledged > 0, `${way}: nothing was written`);
      stage.expect(lost === 0, `${way}: ${lost} acknowledged records are lost`);
      stage.expect(errors.length === 0, `${way}: ${errors.length} errors, the first: ${errors[0]}`);
    }
    if (results.some(({ errors }) => errors.length > 0)) stage.note(await clients.kernelLog());
    return results;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    stage.expect(false, `what NFS and iSCSI clients wrote could not be read: ${why}`);
    return [];
  }
}
