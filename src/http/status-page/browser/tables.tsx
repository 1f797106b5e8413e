/** What the picture shows, in words, and what it does not: a card for each row where the screen is narrow. */
import type { ComponentChildren } from 'preact';
import type { PageNode, PageState } from '../state.ts';
import { Resyncs } from './resyncs.tsx';
import { dataWords, lagWords, linkWords, MIRROR_WORDS, roleWords } from './words.ts';

interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
}

/** The roles are written out, because CSS that changes `display` makes browsers forget that it is a table. */
function Table<Row extends { readonly name?: string; readonly id?: string }>({
  caption,
  rows,
  columns,
}: {
  caption: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
}) {
  return (
    // biome-ignore lint/a11y/noRedundantRoles: it is not, see above
    <table role="table">
      <caption>{caption}</caption>
      {/* biome-ignore lint/a11y/noRedundantRoles: it is not, see above */}
      <thead role="rowgroup">
        {/* biome-ignore lint/a11y/noRedundantRoles: it is not, see above */}
        <tr role="row">
          {columns.map(({ title }) => (
            // biome-ignore lint/a11y/noRedundantRoles: it is not, see above
            <th key={title} role="columnheader" scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      {/* biome-ignore lint/a11y/noRedundantRoles: it is not, see above */}
      <tbody role="rowgroup">
        {rows.map((row) => (
          // biome-ignore lint/a11y/noRedundantRoles: it is not, see above
          <tr key={row.id ?? row.name} role="row">
            {columns.map((column, at) => (
              <Cell key={column.title} isFirst={at === 0} title={column.title}>
                {column.cell(row)}
              </Cell>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cell({
  title,
  isFirst,
  children,
}: {
  title: string;
  isFirst: boolean;
  children?: ComponentChildren;
}) {
  if (isFirst)
    return (
      // biome-ignore lint/a11y/noRedundantRoles: see Table
      <th role="rowheader" scope="row" data-label={title}>
        {children}
      </th>
    );
  return (
    // biome-ignore lint/a11y/noRedundantRoles: see Table
    <td role="cell" data-label={title} class={children === null ? 'empty' : ''}>
      {children ?? '–'}
    </td>
  );
}

const isWrong = (text: string, isBad: boolean) => (isBad ? <span class="bad">{text}</span> : text);

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
