/** Puts the page into its document. */
import { render } from 'preact';
import { App } from './app.tsx';
import { follow } from './follow.ts';

const root = document.getElementById('page');
if (root === null) throw new Error('the document has no place for the page');
// What stands there before the first news is the document's own, for browsers without scripts.
root.replaceChildren();
follow((view) => render(<App view={view} />, root));
render(<App view={{ kind: 'waiting' }} />, root);
