/** The page as a whole: what is present, or loudly that nothing is. */
import { humanMs } from '../../../page/index.ts';
import { Announcer } from './announcer.tsx';
import type { Known, View } from './follow.ts';
import { Holder } from './holder.tsx';
import { Replication } from './replication.tsx';
import { NodeTable, ResourceTable } from './tables.tsx';
import { Takeovers } from './takeovers.tsx';
import { Time } from './time.tsx';
import { Topology } from './topology.tsx';
import { WarningList } from './warning-list.tsx';
import { LOSS_WORDS } from './words.ts';

export function App({ view }: { view: View }) {
  return (
    <>
      <Announcer view={view} />
      {view.kind === 'live' ? <Live known={view} /> : <NotLive view={view} />}
    </>
  );
}

function Live({ known }: { known: Known }) {
  const { state, pulse } = known;
  return (
    <>
      <header class="top">
        <div>
          <h1>{state.cluster}</h1>
          <p class="muted">
            as node <strong>{state.observer}</strong> sees it
          </p>
        </div>
        <p class="live">
          <span class="dot" aria-hidden="true" /> Live <Time at={pulse.at} />
        </p>
      </header>
      <main>
        <State known={known} />
      </main>
      <Foot known={known} />
    </>
  );
}

function NotLive({ view }: { view: Exclude<View, { kind: 'live' }> }) {
  const known = view.kind === 'lost' ? view.known : null;
  return (
    <>
      <header class="top">
        <h1>{known === null ? 'Quorate' : known.state.cluster}</h1>
      </header>
      <main>
        {view.kind === 'waiting' ? (
          <p class="lost-words">Waiting for the first news of this node.</p>
        ) : (
          <section class="lost" aria-labelledby="lost">
            <h2 id="lost">
              <span aria-hidden="true">✕ </span>No news: the present state is not known
            </h2>
            <p>
              {LOSS_WORDS[view.why]} It is tried again every few seconds.
              {known === null ? ' Nothing was heard yet.' : ' Last news: '}
              {known === null ? null : <Time at={known.pulse.at} hasDay />}
            </p>
          </section>
        )}
        {known === null ? null : (
          <details class="past">
            <summary>
              Last known state, of <Time at={known.pulse.at} hasDay />
            </summary>
            <div class="past-state">
              <State known={known} />
            </div>
          </details>
        )}
      </main>
      {known === null ? null : <Foot known={known} />}
    </>
  );
}

function State({ known }: { known: Known }) {
  const { state, pulse } = known;
  return (
    <>
      <div class="first">
        <div>
          <Holder state={state} pulse={pulse} />
          <WarningList state={state} />
        </div>
        <Topology state={state} />
      </div>
      <NodeTable state={state} />
      <Replication state={state} pulse={pulse} />
      <ResourceTable state={state} />
      <Takeovers state={state} />
    </>
  );
}

function Foot({ known: { state } }: { known: Known }) {
  const { leaseMs, promiseMs, releaseBoundMs } = state.timing;
  return (
    <footer>
      <p class="muted">
        Lease {humanMs(leaseMs)}, promise {humanMs(promiseMs)}, bound of a release {humanMs(releaseBoundMs)}.
        Times are UTC, by the nodes' wall clocks: nothing is decided by them. The page changes nothing.{' '}
        <a href="/status.json">JSON</a>, <a href="/metrics">metrics</a>; quorate {state.version}.
      </p>
    </footer>
  );
}
