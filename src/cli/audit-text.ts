/** The audit as a timeline, one line for each entry that says something to people. */
import { assertNever, type Entry, type EntryBody } from '../core/index.ts';
import { type AuditDocument, changeText, isoTime, orderText, ownTime, scheduleText } from '../state/index.ts';
import { windowSentences } from './audit-window.ts';
import { humanMs, type Paint } from './output.ts';

export interface AuditLine {
  readonly index: number;
  readonly time: string | null;
  readonly term: number;
  readonly text: string;
}

/** One for each entry that says something to people. */
export function auditLines(entries: readonly Entry[], document: AuditDocument, paint: Paint): AuditLine[] {
  return entries.flatMap(({ index, term, body }) => {
    const text = body.kind === 'forced' ? forced(index, document, paint) : sentence(body);
    return text === null ? [] : [{ index, time: isoTime(ownTime(body)), term, text }];
  });
}

export function renderAudit(entries: readonly Entry[], document: AuditDocument, paint: Paint): string[] {
  const width = String(entries.at(-1)?.index ?? 0).length;
  const lines = auditLines(entries, document, paint).map(({ index, time, term, text }) => {
    const column = paint('dim', (time ?? '').padEnd(24));
    return `${String(index).padStart(width)}  ${column}  term ${term}: ${text}`;
  });
  const { chain, violations, tenures } = document;
  const gaps = tenures.flatMap(({ gapMs }) => (gapMs === null ? [] : [gapMs]));
  return [
    ...lines,
    '',
    ...windowSentences(document),
    `${document.window === undefined ? chain.entries : entries.length} entries, ${document.terms.length} elections, ${tenures.length} tenures` +
      (gaps.length === 0 ? '' : `, longest known gap ${humanMs(Math.max(...gaps))}`),
    chain.ok
      ? `${paint('green', 'the chain is whole')}, head ${chain.head}`
      : `${paint('red', 'THE CHAIN IS BROKEN')}, head ${chain.head}`,
    ...(violations.length === 0
      ? [paint('green', 'no rule is broken')]
      : violations.map(
          ({ index, kind, what }) => `${paint('red', 'VIOLATION')} at entry ${index}: ${kind}: ${what}`,
        )),
  ];
}

/** Only the replay knows whether it counted. */
function forced(index: number, document: AuditDocument, paint: Paint): string | null {
  const operator = document.operators.find((one) => one.index === index);
  return operator === undefined ? null : paint('yellow', `${operator.who} ${operator.action}`);
}

/** Null for entries that matter to the agents only. */
function sentence(body: Exclude<EntryBody, { kind: 'forced' }>): string | null {
  switch (body.kind) {
    case 'config': {
      const members = body.members.map(
        (one) => `${one.id}${one.witness ? ' (witness)' : one.learner ? ' (learner)' : ''}`,
      );
      const inSync = body.inSync === null ? '' : `, in sync: ${body.inSync.join(' ')}`;
      const { change, goal, timing } = body;
      const by = change === undefined ? '' : `${change.who} ${changeText(change, goal ?? timing)}; `;
      return `${by}members ${members.join(' ')}${inSync}, promise ${humanMs(timing.promiseMs)}`;
    }
    case 'elected': {
      const detected = body.detectMs === null ? '' : `, noticed after ${humanMs(body.detectMs)}`;
      const role = body.caretaker ? 'elected caretaker' : 'elected';
      return `${body.leader} ${role} by ${body.votes.join(' ')} (${body.reason}${detected}, election ${humanMs(body.electMs)})`;
    }
    case 'tenure-granted':
      return `${body.node} may hold`;
    case 'tenure-released': {
      const next = body.successor === null ? '' : ` for ${body.successor}`;
      return `${body.node} has released epoch ${body.epoch}${next} (${body.reason}): ${body.evidence}`;
    }
    case 'takeover-done': {
      const failed = body.steps
        .filter((step) => step.result !== 'ok')
        .map((step) => `${step.name}: ${step.result}`);
      return body.ok
        ? `${body.node} holds everything after ${humanMs(body.totalMs)}`
        : `${body.node} could not take everything (${failed.join('; ')})`;
    }
    case 'peer-outdated':
      return `${body.peer} is out of sync (said in epoch ${body.epoch})`;
    case 'peer-in-sync':
      return `${body.peer} is in sync again (said in epoch ${body.epoch})`;
    case 'node-outdated':
      return `${body.node} has taken itself out of sync (epoch ${body.epoch})`;
    case 'repaired':
      return `${body.node} has its log again, damaged up to entry ${body.markerIndex}`;
    case 'fenced':
      return body.outcome === 'unconfirmed'
        ? `${body.node} could not be fenced (epoch ${body.epoch}): ${body.detail}`
        : `${body.node} is fenced (epoch ${body.epoch}): ${body.outcome} after ${humanMs(body.ms)}`;
    case 'operator':
      return `${body.who}: ${body.action}`;
    case 'operator-result':
      return `what was asked in entry ${body.of} ${body.ok ? 'is done' : 'has failed'}: ${body.result}`;
    case 'pause':
    case 'standby':
      return `${body.who} ${orderText(body)}`;
    case 'switchover-scheduled':
      return `${body.who} ${scheduleText(body)}`;
    case 'switchover-begun':
      return `the switchover scheduled in entry ${body.of} begins, to ${body.to}`;
    case 'switchover-ended':
      return body.who === null ? scheduleText(body) : `${body.who}: ${scheduleText(body)}`;
    case 'restart-begun':
      return `${body.node} restarts within ${humanMs(body.durationMs)}, keeping epoch ${body.epoch}`;
    case 'tenure-adopted':
      return `${body.node} is back and goes on with epoch ${body.epoch}`;
    case 'note':
      return `note: ${body.text}`;
    case 'timing-persisted':
      return null;
    default:
      return assertNever(body);
  }
}
