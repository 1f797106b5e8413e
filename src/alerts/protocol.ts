/** What passes between the agent and the thread that sends its alerts. Both are of one build: nothing needs to be validated. */
import type { AlertsConfig } from '../config/index.ts';
import type { Alert, TestResult } from './alert.ts';
import type { DeliveryNews } from './delivery.ts';

export type SenderData = Pick<AlertsConfig, 'webhooks' | 'email'>;

export type SenderRequest =
  | { readonly kind: 'send'; readonly alert: Alert }
  | { readonly kind: 'test'; readonly alert: Alert };

export type SenderReport =
  | { readonly kind: 'news'; readonly news: DeliveryNews }
  | { readonly kind: 'tested'; readonly id: string; readonly results: readonly TestResult[] };
