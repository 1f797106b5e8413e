/** The gateway: a request's method and target → a question, or why it is none, with the remedy (style 4). */
import { parseDuration } from '../config/index.ts';
import { CHECKS, type Check, type MaxLag } from './role-checks.ts';
import { PAGE_PATHS } from './status-page/index.ts';

export const METHODS = ['GET', 'HEAD', 'OPTIONS'] as const;
const METRICS = '/metrics';
/** Of the status page, beside its files. */
const EVENTS = '/events';
const STATUS = '/status.json';
/** Of the role checks: what a check that is answered 404 may have meant. */
export const PATHS: readonly string[] = CHECKS.map((check) => `/${check}`);

const PARAMETER = 'max-lag';
const HOUR_MS = 3_600_000;
/** Nine digits: more than a log may have (D4). */
const ENTRIES = /^\d{1,9}$/;
const DURATION = /^\d{1,9}(\.\d{1,6})?(ms|s|min|h)$/;
const MAX_SHOWN = 60;

export type Question =
  | { readonly kind: 'check'; readonly check: Check; readonly maxLag: MaxLag | null }
  | { readonly kind: 'metrics' | 'events' | 'status' }
  | { readonly kind: 'page'; readonly path: string }
  | {
      readonly kind: 'refused';
      readonly status: 400 | 404 | 405;
      readonly error: string;
      readonly remedy: string;
    };

/** `target` as in the request line: a path with or without a query. */
export function readQuestion(method: string, target: string): Question {
  const [path = '', ...queries] = target.split('?');
  const asked = CHECKS.find((one) => path === `/${one}`) ?? otherQuestion(path);
  if (asked === null)
    return {
      kind: 'refused',
      status: 404,
      error: `there is nothing at ${shown(path)}`,
      remedy: `ask one of ${PATHS.join(' ')}, ${METRICS} or ${STATUS}, or open /`,
    };
  if (!METHODS.some((one) => one === method))
    return {
      kind: 'refused',
      status: 405,
      error: `${shown(method)} is not a way to ask`,
      remedy: `use ${METHODS.join(', ')}`,
    };
  // Prometheus may be told to add parameters (`params:`); what is told is the same whatever they say. So it is for browsers.
  if (typeof asked !== 'string') return asked;
  const maxLag = readMaxLag(new URLSearchParams(queries.join('?')));
  if (typeof maxLag === 'string')
    return {
      kind: 'refused',
      status: 400,
      error: maxLag,
      remedy: `write ${PARAMETER}=10 (log entries) or ${PARAMETER}=2s (since the last message of the leader; ms, s, min, h)`,
    };
  return { kind: 'check', check: asked, maxLag };
}

function otherQuestion(path: string): Exclude<Question, { kind: 'check' | 'refused' }> | null {
  switch (path) {
    case METRICS:
      return { kind: 'metrics' };
    case EVENTS:
      return { kind: 'events' };
    case STATUS:
      return { kind: 'status' };
    default:
      return PAGE_PATHS.some((one) => one === path) ? { kind: 'page', path } : null;
  }
}

/** A misspelled limit must not be no limit: whatever is not known is refused. A text: why. */
function readMaxLag(query: URLSearchParams): MaxLag | string | null {
  for (const name of query.keys()) if (name !== PARAMETER) return `there is no parameter ${shown(name)}`;
  const [value, ...more] = query.getAll(PARAMETER);
  if (value === undefined) return null;
  if (more.length > 0) return `${PARAMETER} is there twice`;
  if (ENTRIES.test(value)) return { entries: Number(value) };
  if (!DURATION.test(value))
    return `${PARAMETER}=${shown(value)} is neither a number of entries nor a duration`;
  const duration = parseDuration(value, { minMs: 0, maxMs: HOUR_MS });
  return duration.ok
    ? { ms: duration.value }
    : `${PARAMETER}: ${duration.why}${duration.hint === null ? '' : ` (${duration.hint})`}`;
}

/** What a stranger has sent, short and harmless. */
function shown(text: string): string {
  const printable = text.replaceAll(/[^\x20-\x7e]/g, '?');
  return JSON.stringify(printable.length > MAX_SHOWN ? `${printable.slice(0, MAX_SHOWN)}...` : printable);
}
