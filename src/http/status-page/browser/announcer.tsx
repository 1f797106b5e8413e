/**
 * For who hears the page: one sentence when something has changed, and nothing while only numbers move. The element stays where it
 * is, because a live region that comes with its text is not read.
 */
import { useRef } from 'preact/hooks';
import type { View } from './follow.ts';
import { holdingTitle } from './words.ts';

interface Heard {
  readonly kind: View['kind'];
  readonly holding: string;
  readonly warnings: ReadonlyMap<string, string>;
}

export function Announcer({ view }: { view: View }) {
  const before = useRef<Heard | null>(null);
  const said = useRef('');
  const heard = heardOf(view);
  const sentence = changeOf(before.current, heard);
  before.current = heard;
  if (sentence !== '') said.current = sentence;
  return (
    <p class="for-ears" role="status" aria-live="polite" aria-atomic="true">
      {said.current}
    </p>
  );
}

function heardOf(view: View): Heard {
  if (view.kind !== 'live') return { kind: view.kind, holding: '', warnings: new Map() };
  const { holding, warnings } = view.state;
  return {
    kind: 'live',
    holding: holdingTitle(holding),
    warnings: new Map(warnings.map(({ key, text }) => [key, text])),
  };
}

function changeOf(before: Heard | null, now: Heard): string {
  if (now.kind === 'lost')
    return before?.kind === 'lost' ? '' : 'No news of this node: the present state is not known.';
  if (now.kind === 'waiting') return '';
  if (before?.kind !== 'live') {
    const count = now.warnings.size;
    return `Live. ${now.holding}. ${count === 0 ? 'No warnings' : `${count} ${count === 1 ? 'warning' : 'warnings'}`}.`;
  }
  const came = [...now.warnings].filter(([key]) => !before.warnings.has(key)).map(([, text]) => text);
  const went = [...before.warnings]
    .filter(([key]) => !now.warnings.has(key))
    .map(([, text]) => `Over: ${text}`);
  return [...(before.holding === now.holding ? [] : [`${now.holding}.`]), ...came, ...went].join(' ');
}
