/**
 * XML as EC2 and ELB write it. An object becomes elements in the order of its keys, an array becomes `<item>` elements
 * (ELB: `<member>`), null and '' an empty element, undefined nothing. Twenty lines, so no library.
 */
export type Xml =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Xml[]
  | { readonly [name: string]: Xml };

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

export function renderXml(name: string, content: Xml, attributes = '', listItem = 'item'): string {
  if (content === undefined) return '';
  const inner = renderContent(content, listItem);
  return inner === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${inner}</${name}>`;
}

function renderContent(content: Xml, listItem: string): string {
  if (content === null || content === undefined) return '';
  if (Array.isArray(content)) return content.map((item) => renderXml(listItem, item, '', listItem)).join('');
  if (typeof content === 'object') {
    return Object.entries(content)
      .map(([name, value]) => renderXml(name, value, '', listItem))
      .join('');
  }
  return escapeText(String(content));
}

/** Messages echo what the caller sent; XML 1.0 cannot carry control characters even as references. */
function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those are replaced
  const clean = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');
  return clean.replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}
