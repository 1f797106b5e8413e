/**
 * Reads from the kernels themselves whether they have an address: `/proc/PID/net/fib_trie` of a process in each namespace.
 * Asks nobody else, and sends nothing.
 *
 * One reading order, a b a: if both readings of `a` and the one of `b` between them say yes, both had it at once, for
 * certain. What is reported is when the pair of answers changed.
 */
import { readFileSync } from 'node:fs';
import { serveParent } from '../../local/node/index.ts';
import { now } from './clock.ts';

export interface SamplerCommand {
  readonly kind: 'watch';
  /** Of each data node: a process in its namespace, and the addresses that only the holder may have. */
  readonly nodes: readonly { readonly pid: number; readonly addresses: readonly string[] }[];
}

export interface Sample {
  /** From this instant on, until the next sample. */
  readonly at: number;
  /** Whether each node has one of its addresses, in the order of the command. */
  readonly has: readonly boolean[];
  /** All of them at once, for certain. */
  readonly isBoth: boolean;
}

export interface SamplerNews {
  readonly kind: 'samples';
  readonly samples: readonly Sample[];
  /** Readings so far: a sampler that does not run finds nothing. */
  readonly readings: number;
}

const EVERY_MS = 2;
const REPORT_EVERY_MS = 20;

export function runSampler(): void {
  let nodes: { readonly file: string; readonly entries: readonly string[] }[] = [];
  let samples: Sample[] = [];
  let last = '';
  let readings = 0;
  serveParent<SamplerCommand>(async (command) => {
    nodes = command.nodes.map(({ pid, addresses }) => ({
      file: `/proc/${pid}/net/fib_trie`,
      // `|-- 10.0.0.50\n /32 host LOCAL`, where the line ends after the address.
      entries: addresses.map((address) => `-- ${address}\n`),
    }));
    last = '';
  });
  const has = ({ file, entries }: (typeof nodes)[number]): boolean => {
    const trie = readFileSync(file, 'latin1');
    return entries.some((entry) => isLocal(trie, entry));
  };
  const look = (): void => {
    const [first] = nodes;
    if (first === undefined) return;
    try {
      const found = nodes.map(has);
      const isBoth = found.every(Boolean) && has(first);
      const key = `${found.join()} ${isBoth}`;
      readings += 1;
      if (key !== last) samples.push({ at: now(), has: found, isBoth });
      last = key;
    } catch (error) {
      process.stderr.write(`sampler: ${String(error)}\n`);
      process.exit(1);
    }
  };
  setInterval(look, EVERY_MS);
  setInterval(() => {
    process.send?.({ kind: 'samples', samples, readings } satisfies SamplerNews);
    samples = [];
  }, REPORT_EVERY_MS);
}

/** The trie lists a host's own address as its leaf, and under it what it is. */
function isLocal(trie: string, entry: string): boolean {
  for (let at = trie.indexOf(entry); at >= 0; at = trie.indexOf(entry, at + 1)) {
    const below = trie.slice(at + entry.length, trie.indexOf('--', at + entry.length) >>> 0);
    if (below.includes('host LOCAL')) return true;
  }
  return false;
}
