/** Markup that cannot be broken by what is put into it: every value is escaped, unless it is markup itself. */
import { visibleText } from '../../page/index.ts';

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Value = Html | string | number | null | readonly Html[];

export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  let text = strings[0] ?? '';
  for (const [position, value] of values.entries()) text += toText(value) + (strings[position + 1] ?? '');
  return new Html(text);
}

function toText(value: Value): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(({ text }: Html) => text).join('\n');
  return escapeText(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeText(text: string): string {
  return visibleText(text).replaceAll(/[&<>"']/g, (one) => ENTITIES[one] ?? one);
}
