/** What the picture shows, in words, and what it does not: a card for each row where the screen is narrow. */
import type { PageNode, PageState } from '../state.ts';
import { Resyncs } from './resyncs.tsx';
import { type Column, isWrong, Table } from './table.tsx';
import { dataWords, lagWords, linkWords, MIRROR_WORDS, roleWords } from './words.ts';

export function NodeTable({ state }: { state: PageState }) {
  const { nodes, observer, holding } = state;
  const columns: Column<PageNode>[] = [
    { title: 'Node', cell: ({ id }) => id },
    { title: 'Zone', cell: ({ zone }) => zone ?? 'not known' },
    {
      title: 'Role',
      cell: (node) =>
        isWrong(roleWords(node, holding), node.role === 'unreachable' || node.role === 'damaged'),
    },
    {
      title: `From ${observer}`,
      cell: (node) => isWrong(linkWords(node), node.link === 'down' || node.answers === false),
    },
    { title: 'Data', cell: (node) => isWrong(dataWords(node), node.inSync === false) },
    {
      title: 'Mirror',
      cell: ({ mirror }) => (mirror === null ? null : isWrong(MIRROR_WORDS[mirror], mirror !== 'in-sync')),
    },
    { title: 'Lag of the log', cell: lagWords },
  ];
  if (nodes.length === 0) return null;
  return (
    <section aria-labelledby="nodes">
      <h2 id="nodes">Nodes</h2>
      <Table caption={`What ${observer} knows of each`} rows={nodes} columns={columns} />
    </section>
  );
}

type Resource = NonNullable<PageState['resources']>[number];
const PROBE_WORDS = { held: 'held', 'not-held': 'not held', unknown: 'not known' } as const;

export function ResourceTable({ state }: { state: PageState }) {
  const { resources, observer, disk, ioSuspended } = state;
  const columns: Column<Resource>[] = [
    { title: 'Resource', cell: ({ name }) => name },
    { title: 'Kind', cell: ({ kind }) => kind },
    {
      title: 'State',
      cell: ({ probe }) =>
        probe === 'held' ? <span class="good">{PROBE_WORDS[probe]}</span> : PROBE_WORDS[probe],
    },
    {
      title: 'Detail',
      cell: ({ detail }) => (detail === null || detail === '' ? null : detail),
    },
  ];
  return (
    <section aria-labelledby="resources">
      <h2 id="resources">Resources of {observer}</h2>
      {disk === null ? null : (
        <p>
          Replicated disk:{' '}
          {disk === 'up-to-date' ? (
            'up to date'
          ) : (
            <span class="bad">{disk === 'failed' ? 'failed' : 'not known'}</span>
          )}
          {ioSuspended === true ? <span class="bad">, writes are held back</span> : null}.
        </p>
      )}
      <Resyncs state={state} />
      {resources === null ? (
        <p class="bad">Not known: the executor of {observer} does not tell.</p>
      ) : resources.length === 0 ? (
        <p>{observer} has none.</p>
      ) : (
        <Table caption={`What the executor of ${observer} found last`} rows={resources} columns={columns} />
      )}
    </section>
  );
}
