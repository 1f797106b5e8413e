/**
 * The last takeovers, each as a bar of what it was spent on, and as a list that says the same. A bar is the whole of its own takeover: on
 * one scale the silence before a power cut's would leave nothing to be seen of the steps of all others.
 */
import { electionWords, humanMs } from '../../../page/index.ts';
import type { PageState, PastTakeover } from '../state.ts';
import { type Segment, segmentsOf, sinceSign, sumMs } from './takeover-segments.ts';
import { Time } from './time.tsx';

const BAR_PX = 22;
/** Narrower ones have no number in them: the list has. */
const NUMBER_SHARE = 0.05;

export function Takeovers({ state }: { state: PageState }) {
  const { takeovers } = state;
  return (
    <section aria-labelledby="takeovers">
      <h2 id="takeovers">Last takeovers</h2>
      {takeovers.length === 0 ? (
        <p>There was none.</p>
      ) : (
        <>
          <p class="muted">
            From the log, newest first. Each bar is the whole of its own takeover. Steps that do not wait for
            each other run side by side: together they may be longer than the takeover was.
          </p>
          <Hatch />
          <ol class="takeovers">
            {takeovers.map((takeover) => (
              <Takeover key={takeover.epoch} takeover={takeover} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Takeover({ takeover }: { takeover: PastTakeover }) {
  const { epoch, reason, grantedAt, result } = takeover;
  const segments = segmentsOf(takeover);
  const sinceSignMs = sinceSign(takeover);
  return (
    <li>
      <h3 class={result === 'failed' ? 'bad' : ''}>{titleOf(takeover)}</h3>
      <p class="muted">
        {grantedAt === null ? null : (
          <>
            <Time at={grantedAt} hasDay /> ·{' '}
          </>
        )}
        epoch {epoch} · {electionWords(reason)}
        {sinceSignMs === null ? null : <> · {humanMs(sinceSignMs)} after the old leader's last sign</>}
      </p>
      <Bar segments={segments} />
      <ol class="segments">
        {segments.map(({ kind, name, ms, result: outcome }, at) => (
          <li key={at}>
            <svg width="20" height="16" aria-hidden="true">
              <g class={classOf(kind, at)}>
                <rect width="20" height="16" rx="2" />
                <text x="10" y="12" text-anchor="middle">
                  {at + 1}
                </text>
              </g>
            </svg>
            <span>
              {name} <strong>{humanMs(ms)}</strong>
              {kind === 'failed' && outcome !== null ? <span class="bad"> failed: {outcome}</span> : null}
            </span>
          </li>
        ))}
      </ol>
    </li>
  );
}

function titleOf({ node, from, result, totalMs }: PastTakeover): string {
  const whence = from === null || from === node ? '' : ` from ${from}`;
  const after = totalMs === null ? '' : humanMs(totalMs);
  switch (result) {
    case 'ok':
      return `${node} took over${whence} in ${after}`;
    case 'failed':
      return `✕ ${node} could not take over${whence}: failed after ${after}`;
    case 'open':
      return `${node} was to take over${whence}: the log has no end of it`;
  }
}

function Bar({ segments }: { segments: readonly Segment[] }) {
  const scaleMs = Math.max(sumMs(segments), Number.MIN_VALUE);
  let beganMs = 0;
  return (
    <svg class="bar" width="100%" height={BAR_PX} aria-hidden="true">
      {segments.map(({ kind, ms }, at) => {
        const x = beganMs / scaleMs;
        const share = ms / scaleMs;
        beganMs += ms;
        return (
          <g key={at} class={classOf(kind, at)}>
            <rect x={percent(x)} width={percent(share)} height={BAR_PX} />
            <line x1={percent(x)} x2={percent(x)} y1="0" y2={BAR_PX} />
            {share < NUMBER_SHARE ? null : (
              <text x={percent(x + share / 2)} y="15" text-anchor="middle">
                {at + 1}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

/** Neighbours differ by shade, and everything has its number. */
const classOf = (kind: Segment['kind'], at: number): string =>
  `segment ${kind}${at % 2 === 0 ? '' : ' second'}`;

const percent = (share: number): string => `${Number((share * 100).toFixed(3))}%`;

/** Nobody held meanwhile: drawn as the audit draws it. */
function Hatch() {
  return (
    <svg width="0" height="0" aria-hidden="true" class="patterns">
      <defs>
        <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="gap-ground" width="6" height="6" />
          <rect class="gap-line" width="2.5" height="6" />
        </pattern>
      </defs>
    </svg>
  );
}
