/** All targets of a node: each alert goes to every one of them, on a way of its own. */
import type { Clock } from '../clock.ts';
import type { Target } from './alert.ts';
import { Delivery } from './delivery.ts';
import { Mail } from './mail.ts';
import type { SenderData, SenderReport, SenderRequest } from './protocol.ts';
import { Webhook } from './webhook.ts';

export class Office {
  readonly #clock: Clock;
  readonly #report: (report: SenderReport) => void;
  readonly #ways: readonly { readonly name: string; readonly delivery: Delivery }[];

  constructor(targets: readonly Target[], clock: Clock, report: (report: SenderReport) => void) {
    this.#clock = clock;
    this.#report = report;
    this.#ways = targets.map((target) => ({
      name: target.name,
      delivery: new Delivery(target, clock, (news) => report({ kind: 'news', news })),
    }));
  }

  /** Never rejects. */
  async handle(request: SenderRequest): Promise<void> {
    const { alert } = request;
    if (request.kind === 'send') for (const { delivery } of this.#ways) delivery.add(alert);
    else {
      const results = await Promise.all(
        this.#ways.map(async ({ name, delivery }) => {
          const began = this.#clock.now();
          const end = await delivery.attempt(alert);
          const ms = Math.round(this.#clock.now() - began);
          return { target: name, ok: end.ok, detail: end.ok ? 'sent' : end.why, ms };
        }),
      );
      this.#report({ kind: 'tested', id: alert.id, results });
    }
  }

  end(): void {
    for (const { delivery } of this.#ways) delivery.end();
  }
}

export function targetsOf({ webhooks, email }: SenderData, wallMs: () => number): Target[] {
  return [
    ...webhooks.map((webhook) => new Webhook(webhook, wallMs)),
    ...(email === null ? [] : [new Mail(email)]),
  ];
}
