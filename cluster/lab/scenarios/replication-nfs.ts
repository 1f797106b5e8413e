import { failOverNfs } from '../replication/index.ts';
import type { Scenario } from '../stage.ts';

export const replicationNfs: Scenario = {
  name: 'replication-nfs',
  about:
    'NFS clients, mounted hard by versions 4.2 and 3, write into a replicated pool and read a file of it all the time; after three periods the holder loses its power. The standby goes on from its copy: reads and writes go on without an error, and only what was written after the last whole snapshot is gone.',
  storage: 'replicated',
  services: 'files',
  run: failOverNfs,
};
