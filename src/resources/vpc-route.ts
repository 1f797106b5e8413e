/**
 * An overlay address outside the VPC's block, whose route leads to this node's interface, in every route table that
 * clients use. It is routing, not a fence (O3).
 *
 * 1. ReplaceRoute is atomic, so nothing is ever deleted: a hole between two holders would be ours. A release, planned
 *    or abrupt, leaves the routes alone; the next holder replaces them.
 * 2. EC2 knows no compare-and-set for routes. So every table is read before it is changed: what leads to something that
 *    belongs to no member is not taken (`address-held-elsewhere`), unless it is a black hole, which serves nobody.
 * 3. A time-out is unknown: read before acting again (O2). A reading proves our call only if the reading before it
 *    showed something else: EC2 is eventually consistent (d.0), and may still show a tenure of ours from before.
 * 4. Held means every table, with state `active`. A reading that disagrees right after our own success is unknown.
 */

import { assert } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { canonicalCidr } from './cidr.ts';
import { CloudAttempts, type CloudSetting, SETTLE_MS } from './cloud-attempts.ts';
import { Ec2Failure, isNoSuchRoute, type RouteApi, type RouteView } from './ec2.ts';
import type { AcquireContext, ActionContext, ProbeResult, ReleaseContext, Resource } from './types.ts';

/** How long an acquire waits to see in a reading what EC2 has accepted; it has been done all the same. */
const VERIFY_MS = 1000;
const VERIFY_EVERY_MS = 100;

export interface VpcRouteOptions extends CloudSetting {
  /** Route tables, each with one route. */
  readonly tables: readonly string[];
  /** An IPv4 block, usually one address: `192.168.77.77/32`. */
  readonly destination: string;
  /** This node's interface. */
  readonly ownInterface: string;
  /** The other members' interfaces. */
  readonly memberInterfaces: ReadonlySet<string>;
  readonly api: RouteApi;
}

/** What a table says about our destination; null: nothing. */
type Shown = RouteView | null;

export class VpcRouteResource implements Resource {
  readonly kind = 'vpc-route';
  readonly scope = 'cloud';
  readonly name: string;
  readonly #options: VpcRouteOptions;
  readonly #destination: string;
  readonly #attempts: CloudAttempts;
  /** When EC2 last accepted all of our routes. */
  #takenAt: number | null = null;

  constructor(options: VpcRouteOptions) {
    const destination = canonicalCidr(options.destination);
    assert(destination !== null, `${options.name}: "${options.destination}" was checked to be an IPv4 block`);
    assert(options.tables.length > 0, `${options.name}: the tables were checked to be at least one`);
    this.name = options.name;
    this.#options = options;
    this.#destination = destination;
    this.#attempts = new CloudAttempts(options);
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { tables, clock } = this.#options;
    const shown = await this.#attempts.untilDone(context, () => this.#look(tables, context));
    for (const [table, view] of shown) this.#assertMayTake(table, view);
    // Tables that show us are replaced as well: the reading may be an old one, and the same target changes nothing.
    const taken = await Promise.allSettled(
      tables.map((table) => this.#take(table, shown.get(table) ?? null, context)),
    );
    for (const one of taken) if (one.status === 'rejected') throw one.reason;
    this.#takenAt = clock.now();
    return await this.#verify(context);
  }

  /** Leaves the routes where they are: see 1. */
  release(_context: ReleaseContext): Promise<string> {
    this.#takenAt = null;
    return Promise.resolve('left to the next holder');
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const { tables, clock } = this.#options;
    try {
      const shown = await this.#look(tables, context);
      const wrong = [...shown].filter(([, view]) => !this.#isHere(view));
      if (wrong.length === 0) return { probe: 'held', detail: `${this.#everyTable()} here` };
      const detail = wrong.map(([table, view]) => `${table} ${this.#words(view)}`).join(', ');
      if (this.#takenAt !== null && clock.now() < this.#takenAt + SETTLE_MS)
        return { probe: 'unknown', detail: `EC2 still shows: ${detail}` };
      return { probe: 'not-held', detail };
    } catch (error) {
      return this.#attempts.unknown(error);
    }
  }

  async #take(table: string, before: Shown, context: ActionContext): Promise<void> {
    let showedUs = this.#isHere(before);
    let doesExist = before !== null;
    await this.#attempts.untilDone(context, async (attempt) => {
      if (attempt.mustRead) {
        const view = (await this.#look([table], context)).get(table) ?? null;
        if (this.#isHere(view) && !showedUs) return;
        this.#assertMayTake(table, view);
        showedUs = this.#isHere(view);
        doesExist ||= view !== null;
        attempt.mustRead = false;
      }
      if (doesExist && (await this.#replace(table, context))) return;
      doesExist = false;
      try {
        await this.#options.api.createRoute(this.#request(table), this.#attempts.mutating(context));
      } catch (error) {
        // Somebody was faster, or our own lost call was: whose it is, the next attempt reads.
        if (error instanceof Ec2Failure && error.kind === 'already-associated') doesExist = true;
        throw error;
      }
    });
  }

  /** False where the table has no such route. A code that says so may mean another thing: CreateRoute then says which. */
  async #replace(table: string, context: ActionContext): Promise<boolean> {
    try {
      await this.#options.api.replaceRoute(this.#request(table), this.#attempts.mutating(context));
      return true;
    } catch (error) {
      if (error instanceof Ec2Failure && error.kind === 'permanent' && isNoSuchRoute(error)) return false;
      throw error;
    }
  }

  /** EC2 has accepted everything; a reading that does not show it yet is said, and left to the reconcile loop. */
  async #verify(context: ActionContext): Promise<string> {
    const { tables, clock } = this.#options;
    const end = Math.min(context.deadline, clock.now() + VERIFY_MS);
    for (;;) {
      const shown = await this.#look(tables, context).catch((error: unknown) => {
        if (error instanceof Ec2Failure) return null;
        throw error;
      });
      const views = shown === null ? null : [...shown.values()];
      if (views?.every((view) => this.#isHere(view))) return `${this.#everyTable()} here`;
      if (!context.signal.aborted && clock.now() + VERIFY_EVERY_MS < end) {
        await clock.sleep(VERIFY_EVERY_MS, context.signal);
        continue;
      }
      if (views?.some((view) => this.#isOurs(view) && view?.state === 'blackhole')) {
        throw new QuorateError(
          'cloud-refused',
          `${this.name}: routes to ${this.#options.ownInterface} are black holes: it is not attached to a running instance`,
        );
      }
      return 'replaced; EC2 does not show it yet';
    }
  }

  async #look(tables: readonly string[], context: ActionContext): Promise<Map<string, Shown>> {
    const found = await this.#options.api.describeRouteTables(tables, this.#attempts.reading(context));
    const route = (table: string): Shown =>
      found.get(table)?.find(({ destination }) => destination === this.#destination) ?? null;
    return new Map(tables.map((table) => [table, route(table)]));
  }

  #request(table: string) {
    return { table, destination: this.#destination, interfaceId: this.#options.ownInterface };
  }

  #isOurs(view: Shown): boolean {
    return view?.target.kind === 'interface' && view.target.id === this.#options.ownInterface;
  }

  #isHere(view: Shown): boolean {
    return this.#isOurs(view) && view?.state === 'active';
  }

  #assertMayTake(table: string, view: Shown): void {
    if (view === null || view.state === 'blackhole' || this.#isOurs(view)) return;
    const { kind, id } = view.target;
    if (kind === 'interface' && this.#options.memberInterfaces.has(id)) return;
    throw new QuorateError(
      'address-held-elsewhere',
      `${this.name}: ${this.#destination} in ${table} leads to ${id}, which belongs to no member`,
    );
  }

  #everyTable(): string {
    const { tables } = this.#options;
    return tables.length === 1
      ? `the route in ${tables[0]} leads`
      : `the routes in ${tables.length} tables lead`;
  }

  #words(view: Shown): string {
    if (view === null) return `has no route to ${this.#destination}`;
    const where = this.#isOurs(view) ? 'leads here' : `leads to ${view.target.id}`;
    return view.state === 'active' ? where : `${where}, ${view.state}`;
  }
}
