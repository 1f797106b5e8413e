/** How far resyncs are: a bar for eyes, its value for ears, and the same in words. Not read aloud by itself: it moves. */
import { percentText, resyncSentence } from '../../../resync.ts';
import type { PageState } from '../state.ts';
import { Bar } from './bar.tsx';

export function Resyncs({ state: { resync } }: { state: PageState }) {
  if (resync.length === 0) return null;
  return (
    <ul class="progress" aria-label="Resyncs that run">
      {resync.map((one) => (
        <li key={`${one.resource} ${one.volume} ${one.peer ?? ''}`}>
          {resyncSentence(one)}
          <Bar
            label={`Resync of ${one.resource} volume ${one.volume}`}
            percent={one.donePercent}
            words={one.donePercent === null ? 'not known' : percentText(one.donePercent)}
          />
        </li>
      ))}
    </ul>
  );
}
