/** How far resyncs are: a bar for eyes, its value for ears, and the same in words. Not read aloud by itself: it moves. */
import { percentText, type ResyncFacts, resyncSentence } from '../../../resync.ts';
import type { PageState } from '../state.ts';

export function Resyncs({ state: { resync } }: { state: PageState }) {
  if (resync.length === 0) return null;
  return (
    <ul class="resyncs" aria-label="Resyncs that run">
      {resync.map((one) => (
        <li key={`${one.resource} ${one.volume} ${one.peer ?? ''}`}>
          {resyncSentence(one)}
          <Bar resync={one} />
        </li>
      ))}
    </ul>
  );
}

const WIDTH = 100;

/** Drawn, not styled: the policy allows no style of an element's own. Without a value it is one that is not determined. */
function Bar({ resync: { resource, volume, donePercent } }: { resync: ResyncFacts }) {
  const value =
    donePercent === null
      ? { 'aria-valuetext': 'not known' }
      : { 'aria-valuenow': Math.floor(donePercent), 'aria-valuetext': percentText(donePercent) };
  return (
    <svg
      role="progressbar"
      aria-label={`Resync of ${resource} volume ${volume}`}
      aria-valuemin={0}
      aria-valuemax={100}
      {...value}
      viewBox={`0 0 ${WIDTH} 4`}
      preserveAspectRatio="none"
    >
      <rect class="track" x={0} y={0} width={WIDTH} height={4} />
      {donePercent === null ? null : <rect class="done" x={0} y={0} width={donePercent} height={4} />}
    </svg>
  );
}
