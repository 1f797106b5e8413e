/**
 * Makes values fit to be shown: no secrets, no endless texts, nothing that moves a terminal's cursor. What is shown is copied field by field; a field whose name says
 * that it is secret is hidden whole, and of every text whatever looks like a key, a token or a password.
 */
const HIDDEN = '[hidden]';
const SECRET_NAME = /session|secret|passw|passphrase|token|credential|private.?key|authori[sz]ation|cookie/i;

const LIMITS = {
  /** Characters of one text; the rest is counted. */
  text: 500,
  /** Items of one list or map; the rest is counted. */
  items: 32,
  depth: 6,
} as const;

/** What moves a terminal's cursor, or turns its text around. */
const CONTROL = /(?![\n\t])\p{Cc}|\p{Bidi_Control}/gu;

/** What is found in a text, and what stands in its place. Bounded, so that no text takes long (the agent's own thread does it). */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  // Ids of AWS's keys: long-lived, temporary, and those of roles.
  [/\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b/g, HIDDEN],
  // AWS's secret keys have 40 characters of base64; a hash in hexadecimal has no capitals beside small letters.
  [
    /(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[0-9])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/g,
    HIDDEN,
  ],
  [/(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, HIDDEN],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${HIDDEN}`],
  [/\b(X-Amz-(?:Security-Token|Signature|Credential))(["']?\s*[=:]\s*)[^\s&"',;]+/gi, `$1$2${HIDDEN}`],
  // A whole header: its value has spaces.
  [/\b((?:proxy-)?authorization)(["']?\s*[:=]\s*)[^\n"]+/gi, `$1$2${HIDDEN}`],
  [
    /((?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w-]{0,64})(["']?\s*[=:]\s*["']?)(?!\[hidden\])[^\s&"',;]+/gi,
    `$1$2${HIDDEN}`,
  ],
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@]*):[^\s@/]+@/gi, `$1:${HIDDEN}@`],
];

export function shownText(text: string): string {
  let shown = text.replace(CONTROL, '\ufffd');
  for (const [pattern, instead] of PATTERNS) shown = shown.replace(pattern, instead);
  return shown.length <= LIMITS.text
    ? shown
    : `${shown.slice(0, LIMITS.text)}… (${shown.length - LIMITS.text} more)`;
}

/** JSON that may be shown, of any value. */
export function shown(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return shownText(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (depth >= LIMITS.depth) return '…';
  if (Array.isArray(value)) {
    const items = value.slice(0, LIMITS.items).map((item) => shown(item, depth + 1));
    return value.length <= LIMITS.items ? items : [...items, `… ${value.length - LIMITS.items} more`];
  }
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const fields = entries
    .slice(0, LIMITS.items)
    .map(([name, field]): [string, unknown] => [
      shownText(String(name)),
      SECRET_NAME.test(String(name)) && field !== null ? HIDDEN : shown(field, depth + 1),
    ]);
  if (entries.length > LIMITS.items) fields.push(['…', `${entries.length - LIMITS.items} more`]);
  return Object.fromEntries(fields);
}
