/**
 * The files of the status page, kept in memory: a page, its style, its script and its icon. The script is bundled by `scripts/build.mjs`.
 *
 * The policy lets the page load these, ask this node, and nothing else: no inline script or style, no other host, no frame around it, no
 * string that becomes markup.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { STYLE } from './style.ts';

/** Where the bundle is, beside the agent's own or below the root of a checkout. */
const SCRIPT_FILES = ['status-page.js', 'dist/status-page.js'];

export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export interface Asset {
  readonly type: string;
  readonly body: string;
  /** Quoted, as the header has it. */
  readonly etag: string;
}

/** By path. */
export type StatusPage = ReadonlyMap<string, Asset>;

export const PAGE_PATHS = ['/', '/status-page.js', '/status-page.css', '/status-page.svg'] as const;

const DOCUMENT = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Quorate</title>
<link rel="icon" type="image/svg+xml" href="/status-page.svg">
<link rel="stylesheet" href="/status-page.css">
<script type="module" src="/status-page.js"></script>
</head>
<body>
<div id="page">
<main>
<h1>Quorate</h1>
<p>Waiting for the first news of this node.</p>
<noscript><p>The page needs JavaScript. Without it, <a href="/status.json">/status.json</a> says the same.</p></noscript>
</main>
</div>
</body>
</html>
`;

/** Three voters, two of them agreed. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M9 23 23 23" stroke="#1f5fbf" stroke-width="4"/><circle cx="16" cy="8" r="5" fill="none" stroke="#6b7680" stroke-width="3"/><circle cx="8" cy="23" r="6.5" fill="#1f5fbf"/><circle cx="24" cy="23" r="6.5" fill="#1f5fbf"/></svg>
`;

/** Null where the script was not built: the agent does without it. Reads a file: at the start, before anything is served. */
export function loadStatusPage(): StatusPage | null {
  const file = scriptFile();
  return file === null ? null : statusPageOf(readFileSync(file, 'utf8'));
}

export function statusPageOf(script: string): StatusPage {
  return new Map([
    ['/', asset('text/html; charset=utf-8', DOCUMENT)],
    ['/status-page.js', asset('text/javascript; charset=utf-8', script)],
    ['/status-page.css', asset('text/css; charset=utf-8', STYLE)],
    ['/status-page.svg', asset('image/svg+xml', ICON)],
  ] satisfies [(typeof PAGE_PATHS)[number], Asset][]);
}

function asset(type: string, body: string): Asset {
  return { type, body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` };
}

/** Looked for upwards, because the bundle lies at another depth than the source. */
function scriptFile(): string | null {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const found = SCRIPT_FILES.map((name) => join(directory, name)).find((file) => existsSync(file));
    if (found !== undefined) return found;
    const parent = dirname(directory);
    if (parent === directory) return null;
    directory = parent;
  }
}
