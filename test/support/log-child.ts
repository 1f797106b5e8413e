/**
 * A process that writes a log and says after each acknowledged persist what it may rely on, until it is killed.
 * `node log-child.mjs <directory>`; one line per write: `{"log": [hashes], "term", "votedFor"}`.
 */
import { writeSync } from 'node:fs';
import { LogStore, sha256 } from '../../src/log/index.ts';
import { ScriptedNode } from './log-fixtures.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('which directory?');
const { store, recovered } = await LogStore.open(directory, { digest: sha256 });
const node = new ScriptedNode(recovered.entries, recovered.hardState);
if (node.log.length === 0) await store.persist([node.vote()]);

for (let write = 0; ; write++) {
  const persists =
    write % 10 === 9
      ? [node.vote(write % 20 === 9 ? 'a' : 'b'), node.replaceFrom(Math.max(1, node.log.length - 2), 2)]
      : [node.append(1 + (write % 3), 'padding '.repeat(write % 40))];
  await store.persist(persists);
  const { term, votedFor } = node.hardState;
  writeSync(1, `${JSON.stringify({ log: node.log.map(({ hash }) => hash), term, votedFor })}\n`);
}
