/** A process that makes a cluster and then waits to be killed: `node host.mjs DIST`. */
import { LocalCluster } from '../../../cluster/local/cluster.ts';

const cluster = await LocalCluster.create({ seed: 1, dist: process.argv[2] ?? '', agents: false });
const tags = [...cluster.nodes.values()].map((node) => node.tag);
process.stdout.write(`${JSON.stringify({ tags, directory: cluster.directory })}\n`);
setInterval(() => undefined, 1_000);
