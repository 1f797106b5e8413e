/**
 * The route table of what leaves from the service's addresses (the patent's third and fourth steps: create a new one,
 * flush the old one). Two table numbers take turns, so that nobody ever meets a table that is half built:
 *
 * 1. The table that no rule uses is filled, read back and compared. Until then nothing has changed for anybody.
 * 2. Rules switch to it one source at a time: first the new rule, behind the old one of the same priority, then the old
 *    rule goes. The kernel looks a packet up by one of the two, and both tables are whole.
 * 3. Only then is the previous table flushed. An acquire that is cut off anywhere is finished by the next one.
 *
 * Both tables, and the rules at `priority` that lead to them, belong to this resource alone. `ip route flush` first and
 * filling afterwards, as scripts do it, leaves a moment in which everything goes by the main table: to the wrong port.
 */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { parseRoutes, parseRules, type RouteState, type RuleState } from './ip-json.ts';
import { readPort } from './linux-link.ts';
import { held, LinuxTools, notHeld, partly, type Reading, unknown } from './linux-tools.ts';
import {
  compareRoutes,
  type FamilyState,
  type FamilyWish,
  familyWishes,
  judge,
  type Route,
  sourcesOf,
  tablesInUse,
  wantedRoutes,
} from './route-table-view.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';

export interface RouteTableOptions {
  readonly name: string;
  /** The first of two: `table` and `table + 1`. */
  readonly table: number;
  readonly interface: string;
  readonly gateway: string | null;
  /** Addresses or networks whose packets go by this table; null: the addresses that the interface has when it is taken. */
  readonly from: readonly string[] | null;
  /** Beside the interface's own networks and the default route. */
  readonly routes: readonly { readonly to: string; readonly via: string | null }[];
  readonly priority: number;
  readonly runner: CommandRunner;
  readonly clock: Clock;
}

const FLAG = { inet: '-4', inet6: '-6' } as const;
const IP = { inet: 'IPv4', inet6: 'IPv6' } as const;

export class RouteTableResource implements Resource {
  readonly kind = 'route-table';
  readonly scope = 'local';
  readonly name: string;
  readonly #tables: readonly [number, number];
  readonly #interface: string;
  readonly #families: readonly FamilyWish[];
  readonly #priority: number;
  readonly #tools: LinuxTools;

  constructor(options: RouteTableOptions) {
    this.name = options.name;
    this.#tables = [options.table, options.table + 1];
    this.#interface = options.interface;
    this.#families = familyWishes(options);
    this.#priority = options.priority;
    this.#tools = new LinuxTools(options.runner, options.clock);
  }

  async acquire(context: AcquireContext): Promise<string> {
    const said: string[] = [];
    for (const family of this.#families) said.push(await this.#acquire(family, context));
    return said.join('; ');
  }

  async #acquire(family: FamilyWish, context: ActionContext): Promise<string> {
    let state = await this.#mustLook(family, context);
    const before = this.#judge(family, state);
    if (before.kind === 'whole') return `table ${before.table} is in use`;
    if (sourcesOf(family, state.addresses).length === 0)
      throw new QuorateError(
        'not-as-wanted',
        `${this.name}: ${this.#interface} has no ${IP[family.family]} address whose packets could use the table (or name them under "from")`,
      );
    const wanted = wantedRoutes(family, state.addresses);
    const isExact = (table: number): boolean =>
      compareRoutes(state.tables.get(table) ?? [], wanted, this.#interface).isExact;
    let table = tablesInUse(state).find(isExact);
    if (table === undefined) {
      if (tablesInUse(state).length > 1) {
        // A switch was cut off, and then both tables were damaged: nothing is whole any more, so either may be left.
        await this.#pointAt(this.#fuller(state, wanted), family, state, context);
        state = await this.#mustLook(family, context);
      }
      table = tablesInUse(state)[0] === this.#tables[0] ? this.#tables[1] : this.#tables[0];
      if (!isExact(table)) await this.#build(table, family, { state, wanted }, context);
    }
    await this.#pointAt(table, family, state, context);
    const [first, second] = this.#tables;
    const previous = table === first ? second : first;
    if (state.tables.get(previous)?.length !== 0) await this.#flush(previous, family, context);
    const after = this.#judge(family, await this.#mustLook(family, context));
    if (after.kind === 'whole') return `table ${table} with ${wanted.length} routes is in use`;
    const why = after.kind === 'part' ? after.why : 'nothing is there';
    throw new QuorateError('not-as-wanted', `${this.name}: ${why}`);
  }

  /** Rules away first: from then on nothing goes by the tables. */
  async release(context: ReleaseContext): Promise<string> {
    for (const family of this.#families) {
      const state = await this.#tools.mustRead(this.#lookAtTables(family, context));
      const filled = this.#tables.filter((table) => state.tables.get(table)?.length !== 0);
      const rules = state.rules.map((rule) => ['rule', 'del', ...this.#ruleWords(rule)]);
      const flushes = filled.map((table) => ['route', 'flush', 'table', `${table}`]);
      if (await this.#tools.batch(FLAG[family.family], [...rules, ...flushes], context)) continue;
      for (const rule of state.rules) await this.#deleteRule(rule, family, context);
      for (const table of filled) await this.#flush(table, family, context);
    }
    return `no rule leads to tables ${this.#tables.join(' and ')} any more, and they are flushed`;
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const verdicts = await Promise.all(
      this.#families.map(async (family) => {
        const reading = await this.#look(family, context);
        return reading.kind === 'unknown' ? reading : this.#judge(family, reading.value);
      }),
    );
    const words: string[] = [];
    for (const verdict of verdicts) {
      if (verdict.kind === 'unknown') return unknown(verdict.why);
      if (verdict.kind === 'part') words.push(verdict.why);
    }
    if (words.length > 0) return partly(words.join('; '));
    const whole = verdicts.flatMap((verdict) => (verdict.kind === 'whole' ? [verdict.table] : []));
    if (whole.length === 0) return notHeld(`tables ${this.#tables.join(' and ')} are empty and unused`);
    // One family as wanted and nothing of the other.
    if (whole.length < verdicts.length) return partly('only one of IPv4 and IPv6 is there');
    return held(`table ${[...new Set(whole)].join(' and ')} is in use`);
  }

  #judge(family: FamilyWish, state: FamilyState) {
    return judge({ family, interface: this.#interface }, state);
  }

  #fuller(state: FamilyState, wanted: readonly Route[]): number {
    const [first, second] = this.#tables;
    const found = (table: number): number =>
      compareRoutes(state.tables.get(table) ?? [], wanted, this.#interface).found;
    return found(second) > found(first) ? second : first;
  }

  async #build(
    table: number,
    family: FamilyWish,
    { state, wanted }: { readonly state: FamilyState; readonly wanted: readonly Route[] },
    context: ActionContext,
  ): Promise<void> {
    const isEmpty = state.tables.get(table)?.length === 0;
    const adds = wanted.map(({ to, via }) => {
      const gateway = via === null ? [] : ['via', via];
      return ['route', 'add', to, ...gateway, 'dev', this.#interface, 'table', `${table}`];
    });
    const flush = isEmpty ? [] : [['route', 'flush', 'table', `${table}`]];
    if (!(await this.#tools.batch(FLAG[family.family], [...flush, ...adds], context))) {
      await this.#flush(table, family, context);
      for (const words of adds) await this.#ip(family, words, context);
    }
    const present = await this.#tools.mustRead(this.#readTable(table, family, context));
    if (compareRoutes(present, wanted, this.#interface).isExact) return;
    const routes = present.map(({ to, via }) => (via === null ? to : `${to} via ${via}`));
    throw new QuorateError(
      'not-as-wanted',
      `${this.name}: table ${table} was filled and reads ${routes.join(', ') || 'empty'}`,
    );
  }

  async #pointAt(
    table: number,
    family: FamilyWish,
    { rules, addresses }: FamilyState,
    context: ActionContext,
  ): Promise<void> {
    const sources = sourcesOf(family, addresses);
    const isWanted = (rule: RuleState): boolean => rule.table === table && sources.includes(rule.from);
    const adds = sources
      .filter((from) => !rules.some((rule) => isWanted(rule) && rule.from === from))
      .map((from) => ['rule', 'add', ...this.#ruleWords({ from, table })]);
    const old = rules.filter((rule) => !isWanted(rule));
    const deletions = old.map((rule) => ['rule', 'del', ...this.#ruleWords(rule)]);
    if (await this.#tools.batch(FLAG[family.family], [...adds, ...deletions], context)) return;
    for (const words of adds) await this.#ip(family, words, context, 'File exists');
    for (const rule of old) await this.#deleteRule(rule, family, context);
  }

  async #deleteRule(rule: RuleState, family: FamilyWish, context: ActionContext): Promise<void> {
    await this.#ip(family, ['rule', 'del', ...this.#ruleWords(rule)], context, 'No such file or directory');
  }

  #ruleWords({ from, table }: { readonly from: string; readonly table: number }): string[] {
    const source = from === 'default' ? 'all' : from;
    return ['from', source, 'lookup', `${table}`, 'priority', `${this.#priority}`];
  }

  async #flush(table: number, family: FamilyWish, context: ActionContext): Promise<void> {
    await this.#ip(family, ['route', 'flush', 'table', `${table}`], context, 'FIB table does not exist');
  }

  async #ip(
    { family }: FamilyWish,
    words: readonly string[],
    context: ActionContext,
    fine: string | null = null,
  ): Promise<void> {
    const isFine = (stderr: string): boolean => fine !== null && stderr.includes(fine);
    await this.#tools.must(['ip', FLAG[family], ...words], context, ({ stderr }) => isFine(stderr));
  }

  #mustLook(family: FamilyWish, context: ActionContext): Promise<FamilyState> {
    return this.#tools.mustRead(this.#look(family, context));
  }

  async #look(wish: FamilyWish, context: ActionContext): Promise<Reading<FamilyState>> {
    const [tables, link] = await Promise.all([
      this.#lookAtTables(wish, context),
      // The same command as the port's.
      readPort(this.#tools, { interface: this.#interface, addresses: [] }, context),
    ]);
    if (tables.kind === 'unknown') return tables;
    if (link.kind === 'unknown') return link;
    return { kind: 'read', value: { ...tables.value, addresses: link.value.link?.addresses ?? [] } };
  }

  async #lookAtTables(
    wish: FamilyWish,
    context: ActionContext,
  ): Promise<Reading<Omit<FamilyState, 'addresses'>>> {
    const { family } = wish;
    const ours = { priority: this.#priority, tables: this.#tables };
    const [first, second] = this.#tables;
    const [rules, one, two] = await Promise.all([
      this.#tools.read(['ip', '-N', '-j', FLAG[family], 'rule'], context, (text) =>
        parseRules(text, family, ours),
      ),
      this.#readTable(first, wish, context),
      this.#readTable(second, wish, context),
    ]);
    if (rules.kind === 'unknown') return rules;
    if (one.kind === 'unknown') return one;
    if (two.kind === 'unknown') return two;
    const tables = new Map([
      [first, one.value],
      [second, two.value],
    ]);
    return { kind: 'read', value: { rules: rules.value, tables } };
  }

  #readTable(
    table: number,
    { family }: FamilyWish,
    context: ActionContext,
  ): Promise<Reading<readonly RouteState[]>> {
    return this.#tools.read(
      ['ip', '-j', FLAG[family], 'route', 'show', 'table', `${table}`],
      context,
      (text) => parseRoutes(text, family),
      // A table that was never used does not exist.
      ({ stderr }) => (/^Error: ipv[46]: FIB table does not exist\./.test(stderr) ? [] : null),
    );
  }
}
