/** What a change of roles does to a copy: see `docs/replication-roles.md`. */
export type { Tail } from './aside.ts';
export { type CompleteOrder, markComplete, parseCopyWords, readCopyWords } from './complete.ts';
export { type Kept, keptIn } from './kept.ts';
export { type AsideParts, endAside, readAside, type SetAside, setAside } from './set-aside.ts';
export { tailsOf } from './tails.ts';
