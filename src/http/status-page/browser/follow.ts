/**
 * Follows the events of the node that served the page, and says at every instant what may be shown: live news, or that there are
 * none. What was heard before is never told as live again: a new connection begins with a new state.
 */
import { visibleText } from '../../../page/index.ts';
import type { PageState, Pulse } from '../state.ts';
import { Freshness, type LocalTime } from './freshness.ts';

/** `ended`: the node is gone, or the way to it. `late`: nothing comes, or only old news. `refused`: it takes no further reader. */
export type Loss = 'ended' | 'late' | 'refused';

export interface Known {
  readonly state: PageState;
  readonly pulse: Pulse;
}

export type View =
  | { readonly kind: 'waiting' }
  | ({ readonly kind: 'live' } & Known)
  /** `known`: what was true at its pulse's time; null where nothing was ever heard. */
  | { readonly kind: 'lost'; readonly why: Loss; readonly known: Known | null };

const LOOK_EVERY_MS = 500;
const REOPEN_MS = 3_000;

export function follow(show: (view: View) => void): void {
  const freshness = new Freshness();
  let source: EventSource | null = null;
  let state: PageState | null = null;
  let known: Known | null = null;
  let isLive = false;
  let version: string | null = null;

  const lose = (why: Loss) => {
    isLive = false;
    state = null;
    freshness.begin();
    show({ kind: 'lost', why, known });
  };
  const reopen = () => {
    source?.close();
    source = null;
    setTimeout(open, REOPEN_MS);
  };
  const open = () => {
    if (source !== null) return;
    const opened = new EventSource('/events');
    source = opened;
    opened.addEventListener('open', () => {
      state = null;
      freshness.begin();
    });
    opened.addEventListener('state', ({ data }) => {
      // Of the very agent that served this script, or of its successor, which has a script of its own.
      state = read(data) as PageState;
      version ??= state.version;
      if (state.version !== version) location.reload();
    });
    opened.addEventListener('pulse', ({ data }) => {
      if (state === null || source !== opened) return;
      const pulse = read(data) as Pulse;
      freshness.heard(pulse.clockMs, localTime());
      if (!freshness.isPresent(localTime())) return look();
      known = { state, pulse };
      isLive = true;
      show({ kind: 'live', ...known });
    });
    opened.addEventListener('error', () => {
      if (source !== opened) return;
      lose('ended');
      // Otherwise the browser tries again by itself.
      if (opened.readyState !== EventSource.CLOSED) return;
      reopen();
      fetch('/events', { method: 'HEAD' }).then(
        ({ status }) => {
          if (status === 503 && !isLive) lose('refused');
        },
        () => {}, // the node is gone: that is what is shown already
      );
    });
  };
  const look = () => {
    if (!isLive || freshness.isPresent(localTime())) return;
    lose('late');
    reopen();
  };

  open();
  setInterval(look, LOOK_EVERY_MS);
  // A page that was hidden, frozen or put away shows what it showed then until a timer runs.
  for (const event of ['visibilitychange', 'resume']) document.addEventListener(event, look);
  window.addEventListener('pageshow', look);
}

/** The gateway: whatever a text says, it turns none of the text around it. */
const read = (data: string): unknown =>
  JSON.parse(data, (_key, value: unknown) => (typeof value === 'string' ? visibleText(value) : value));

const localTime = (): LocalTime => ({ monotonicMs: performance.now(), wallMs: Date.now() });
