/**
 * A table that becomes a list of cards where the screen is narrow. CSS that changes `display` makes browsers forget that it is a
 * table, so that the roles are written out.
 */
import { type Html, html } from './html.ts';
import type { Kept } from './limits.ts';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number | Html | null;
}

export interface TableWords {
  /** Says what the rows are, for who cannot see the heading beside it. */
  readonly caption: string;
  /** Which rows were left out: "older", "shorter". */
  readonly leftOut: string;
  /** Instead of a table without rows. */
  readonly none: string;
}

export function tableOf<Row>(
  { rows, leftOut }: Kept<Row>,
  columns: readonly Column<Row>[],
  words: TableWords,
): Html {
  if (rows.length === 0) return html`<p>${words.none}</p>`;
  const head = columns.map(({ title }) => html`<th role="columnheader" scope="col">${title}</th>`);
  const body = rows.map(
    (row) => html`<tr role="row">${columns.map((column, at) => cellOf(column, row, at))}</tr>`,
  );
  return html`${
    leftOut === 0
      ? null
      : html`<p class="muted">${rows.length} shown, ${leftOut} ${words.leftOut} left out; --since, --until and --node choose others, --json has all.</p>`
  }<table role="table"><caption>${words.caption}</caption>
<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">
${body}
</tbody></table>`;
}

function cellOf<Row>({ title, cell }: Column<Row>, row: Row, at: number): Html {
  const value = cell(row);
  if (at === 0) return html`<th role="rowheader" scope="row" data-label="${title}">${value}</th>`;
  if (value === null || value === '') return html`<td role="cell" class="empty" data-label="${title}">–</td>`;
  return html`<td role="cell" data-label="${title}">${value}</td>`;
}
