/**
 * What an operator orders about the cluster's timing (L8). The order is one entry; the core takes the steps by itself, when they
 * may be taken, under this leader or a later one. Here it is derived, begun, and waited for.
 */
import type { SettingsDocument, SettingsOrder, SettingsOutcome } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import {
  type CoreView,
  canonicalJson,
  deriveTiming,
  promiseShrinksAt,
  type Timing,
  votersWithout,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';

const LOOK_MS = 50;

export interface SettingsOptions {
  readonly config: Config;
  /** What the file says, derived with this host's watchdog. */
  readonly fileTiming: Timing;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly limitMs: number;
}

export class Settings {
  readonly #options: SettingsOptions;

  constructor(options: SettingsOptions) {
    this.#options = options;
  }

  show(): SettingsDocument {
    const { config, driver, fileTiming } = this.#options;
    const { view } = driver;
    if (view.state.timing === null)
      throw new QuorateError('not-bootstrapped', 'there is no log yet: the timing of the file will count');
    const goal = goalOf(view);
    return {
      cluster: config.cluster,
      observer: view.self,
      timing: valuesOf(view.timing),
      goal: goal === null ? null : valuesOf(goal),
      waitingFor: waitingFor(view, goal),
      file: valuesOf(fileTiming),
      differs: canonicalJson(valuesOf(fileTiming)) !== canonicalJson(valuesOf(goal ?? view.timing)),
    };
  }

  /** Of whoever leads: `not-leader` is the caller's to say. */
  async set(order: SettingsOrder): Promise<SettingsOutcome> {
    const { driver, clock, limitMs } = this.#options;
    const goal = this.#derived(order);
    const before = goalOf(driver.view) ?? driver.view.timing;
    const isSame = canonicalJson(goal) === canonicalJson(before);
    if (isSame && order.requestId === '')
      return { ...this.show(), changed: false, index: null, alreadyDone: false };
    const by = {
      who: order.who,
      why: reasonOf(order.why),
      request: order.requestId || null,
      at: clock.wallMs(),
    };
    const index = await driver.commit({ kind: 'set-timing', timing: goal, by }, limitMs);
    const until = clock.now() + order.waitMs;
    while (goalOf(driver.view) !== null && clock.now() < until) await clock.sleep(LOOK_MS);
    return { ...this.show(), changed: !isSame, index, alreadyDone: false };
  }

  /** What is not named stays; what was ordered last counts, also where it is still on its way. */
  #derived({ values }: SettingsOrder): Timing {
    const { view } = this.#options.driver;
    const base = goalOf(view) ?? view.timing;
    const { heartbeatMs, leaseMs, releaseMs, watchdogMs, promiseMs } = values;
    if (watchdogMs !== null && base.watchdog === null)
      throw new QuorateError('usage', 'watchdog: this cluster began without watchdogs (H2)');
    try {
      return deriveTiming({
        heartbeatMs: heartbeatMs ?? base.heartbeatMs,
        leaseMs: leaseMs ?? base.leaseMs,
        releaseMs: releaseMs ?? base.releaseMs,
        guardMs: base.guardMs,
        clockErrorRate: base.clockErrorRate,
        watchdogTimeoutMs: base.watchdog === null ? null : (watchdogMs ?? base.watchdog.timeoutMs),
        ...(promiseMs === null ? {} : { promiseMs }),
      });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new QuorateError('usage', error.message, { cause: error });
    }
  }
}

function goalOf({ log }: CoreView): Timing | null {
  const body = log.at(log.configIndex)?.body;
  return body?.kind === 'config' ? (body.goal ?? null) : null;
}

/** Why it has not come to its end: sentences; only the leader knows. */
function waitingFor(view: CoreView, goal: Timing | null): string[] {
  const { leadership, log, now } = view;
  if (goal === null || leadership === null) return [];
  const missing = votersWithout(view, leadership, log.configIndex);
  if (missing.length > 0) return missing.map((id) => `${id} has not written down the longer promise (L8)`);
  const at = promiseShrinksAt(view);
  if (at === null) return ['the executor of the leader has not taken up the new values (L8)'];
  return [`the promise shrinks in ${Math.max(0, Math.ceil(at - now))} ms (L8)`];
}

function valuesOf({ heartbeatMs, leaseMs, releaseMs, watchdog, promiseMs }: Timing) {
  return { heartbeatMs, leaseMs, releaseMs, watchdogMs: watchdog?.timeoutMs ?? null, promiseMs };
}
