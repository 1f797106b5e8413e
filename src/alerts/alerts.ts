/**
 * Alerts of one node: looks every two seconds at what the status page would say, and hands what is to be told to the thread that
 * sends it. Reads memory only; what cannot be handed over is dropped and logged.
 */
import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../clock.ts';
import type { AlertsConfig } from '../config/index.ts';
import { InvariantError } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { PageNews } from '../http/index.ts';
import type { Alert, TestResult } from './alert.ts';
import { conditionsOf } from './conditions.ts';
import type { DeliveryNews } from './delivery.ts';
import type { SenderReport } from './protocol.ts';
import { type MakeSender, type Sender, threadSender } from './thread.ts';
import { AlertTracker } from './tracker.ts';

const LOOK_EVERY_MS = 2_000;
/** A little longer than one attempt. */
const TEST_LIMIT_MS = 20_000;
/** Tests under way at a time. */
const MAX_TESTS = 4;

export interface AlertsLogger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface AlertsOptions {
  readonly config: AlertsConfig;
  readonly cluster: string;
  readonly node: string;
  readonly clock: Clock;
  readonly logger: AlertsLogger;
  /** What the status page would say now. Throws where it cannot be read. */
  readonly news: () => PageNews;
  /** For tests. */
  readonly sender?: MakeSender;
}

export class Alerts {
  readonly #options: AlertsOptions;
  readonly #tracker: AlertTracker;
  readonly #sender: Sender;
  readonly #tests = new Map<string, (results: readonly TestResult[]) => void>();
  #timer: Timer | null = null;
  #isEnded = false;

  constructor(options: AlertsOptions) {
    this.#options = options;
    const { config, logger, sender = threadSender } = options;
    this.#tracker = new AlertTracker({ ...config, newId: randomUUID });
    this.#sender = sender(
      { webhooks: config.webhooks, email: config.email },
      (report) => this.#onReport(report),
      (why) =>
        logger.error(
          { event: 'alerts-lost', why },
          `the thread that sends alerts is gone, and with it what waited: ${why}`,
        ),
    );
    // At once: a takeover that ends before the first look would be taken for an old one.
    this.#wait(0);
  }

  /** Sends one to every target, now. @throws QuorateError `alerts-unsent`, `too-many-requests` */
  async test(): Promise<readonly TestResult[]> {
    const { cluster, node, clock } = this.#options;
    if (this.#tests.size >= MAX_TESTS)
      throw new QuorateError('too-many-requests', `${MAX_TESTS} tests of alerts are under way`);
    const alert: Alert = {
      ...{
        version: 1,
        id: randomUUID(),
        cluster,
        node,
        key: `${node}/test`,
        state: 'test',
        severity: 'note',
      },
      text: `${node} can tell: somebody asked for this test.`,
      at: new Date(clock.wallMs()).toISOString(),
      since: null,
    };
    const lost = new QuorateError('alerts-unsent', 'the thread that sends alerts does not answer');
    if (!this.#sender.post({ kind: 'test', alert })) throw lost;
    return new Promise((resolve, reject) => {
      const limit = clock.after(TEST_LIMIT_MS, () => {
        this.#tests.delete(alert.id);
        reject(lost);
      });
      this.#tests.set(alert.id, (results) => {
        limit.cancel();
        this.#tests.delete(alert.id);
        resolve(results);
      });
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
    this.#sender.end();
  }

  #wait(ms: number): void {
    this.#timer = this.#options.clock.after(ms, () => {
      this.#look();
      if (!this.#isEnded) this.#wait(LOOK_EVERY_MS);
    });
  }

  #look(): void {
    const { clock, cluster, node, news, logger } = this.#options;
    let alerts: Alert[];
    try {
      const now = news();
      alerts = this.#tracker.observe({
        ...{ nowMs: clock.now(), wallMs: clock.wallMs(), cluster, node },
        isLeader: now.state.leader === node,
        conditions: conditionsOf(now),
        takeovers: now.state.takeovers.toReversed(),
      });
    } catch (error) {
      // A broken invariant ends the process (style 5); what cannot be read yet is looked at again.
      if (error instanceof InvariantError) throw error;
      return;
    }
    for (const alert of alerts) {
      const { key, state, text } = alert;
      logger.info({ event: 'alert', key, state }, `${state}: ${text}`);
      if (!this.#sender.post({ kind: 'send', alert }))
        logger.error(
          { event: 'alert-lost', key, state },
          'it could not be sent: the thread that sends is gone',
        );
    }
  }

  #onReport(report: SenderReport): void {
    if (report.kind === 'tested') this.#tests.get(report.id)?.(report.results);
    else this.#log(report.news);
  }

  #log(news: DeliveryNews): void {
    const { logger } = this.#options;
    const { target, alert } = news;
    const fields = { event: `alert-${news.kind}`, target, key: alert.key, state: alert.state };
    if (news.kind === 'sent') logger.info(fields, `${target} was told`);
    else if (news.kind === 'dropped')
      logger.error(fields, `too many alerts wait for ${target}: the oldest was dropped`);
    else {
      const what = news.kind === 'failed' ? 'was not told, it is tried again' : 'will not be told';
      logger.warn({ ...fields, why: news.why }, `${target} ${what}: ${news.why}`);
    }
  }
}
