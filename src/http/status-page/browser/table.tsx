/** A table, and a card for each row where the screen is narrow. */
import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
}

/** The roles are written out, because CSS that changes `display` makes browsers forget that it is a table. */
export function Table<Row extends { readonly name?: string; readonly id?: string }>({
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

export const isWrong = (text: string, isBad: boolean) => (isBad ? <span class="bad">{text}</span> : text);
