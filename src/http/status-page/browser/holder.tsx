/** Who holds, under which epoch, since when: the first thing that anybody looks for. */
import { humanMs } from '../../../page/index.ts';
import { scheduledSentence } from '../../../scheduled.ts';
import type { Holding, PageState, Pulse } from '../state.ts';
import { Time } from './time.tsx';
import { contactWords, holdingTitle, lasted } from './words.ts';

export function Holder({ state, pulse }: { state: PageState; pulse: Pulse }) {
  const { holding, nodes, leader, term, quorum, commitIndex } = state;
  const data = nodes.filter(({ kind }) => kind === 'data');
  const copies = data.filter(({ inSync }) => inSync === true).map(({ id }) => id);
  const contact = contactWords(pulse);
  const actions = state.warnings.filter(({ severity }) => severity === 'bad').length;
  const mood = moodOf(holding, actions);
  return (
    <section class={`holder ${mood}`} aria-labelledby="holder">
      <h2 id="holder" class="title">
        <span class="sign" aria-hidden="true">
          {SIGNS[mood]}
        </span>
        {holdingTitle(holding)}
      </h2>
      <p>
        <HoldingWords holding={holding} pulse={pulse} />
      </p>
      {mood === 'ill' ? (
        <p class="bad">
          {actions} {actions === 1 ? 'warning asks' : 'warnings ask'} for action.
        </p>
      ) : null}
      {state.scheduled === null ? null : (
        <p class={state.scheduled.state === 'ended' ? 'bad' : undefined}>
          {scheduledSentence(state.scheduled)}.
        </p>
      )}
      {state.paused ? <p class="bad">Paused: no automatic takeover.</p> : null}
      <dl class="facts">
        <Fact name="Leader" value={leader === null ? 'not known' : leader} isBad={leader === null} />
        <Fact name="Term" value={term} />
        <Fact
          name="Majority"
          value={quorum === null ? 'not known' : quorum ? 'yes' : 'no'}
          isBad={quorum !== true}
        />
        {pulse.leaseRemainingMs === null ? (
          <Fact name="Leader's last sign" value={contact ?? 'not known'} isBad={contact === null} />
        ) : (
          <Fact name={`Lease of ${humanMs(state.timing.leaseMs)}`} value={contact ?? ''} />
        )}
        <Fact
          name="Data in sync"
          value={copies.length === 0 ? 'none' : copies.join(', ')}
          isBad={copies.length < data.length}
        />
        <Fact name="Entries committed" value={commitIndex} />
      </dl>
    </section>
  );
}

const SIGNS = { well: '✓', ill: '!', gap: '…', unknown: '?' } as const;

function moodOf(holding: Holding, actions: number): keyof typeof SIGNS {
  if (holding.kind === 'unknown') return 'unknown';
  if (holding.kind !== 'held' || !holding.isTaken) return 'gap';
  return actions > 0 ? 'ill' : 'well';
}

function HoldingWords({ holding, pulse }: { holding: Holding; pulse: Pulse }) {
  if (holding.kind === 'nobody') return <>{holding.why}.</>;
  const held = holding.kind === 'unknown' ? holding.last : holding;
  if (held === null) return <>{holding.kind === 'unknown' ? holding.why : ''}.</>;
  const since =
    held.since === null ? null : (
      <>
        {' '}
        since <Time at={held.since} hasDay />
      </>
    );
  if (holding.kind === 'unknown')
    return (
      <>
        {holding.why}. The last that its log says: {held.node} under epoch {held.epoch}
        {since}. Another may hold by now.
      </>
    );
  return (
    <>
      Epoch {held.epoch}
      {since}
      {held.since === null ? null : <>, for {lasted(held.since, pulse.at)}</>}.
    </>
  );
}

function Fact({ name, value, isBad = false }: { name: string; value: string | number; isBad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={isBad ? 'bad' : ''}>{value}</dd>
    </div>
  );
}
