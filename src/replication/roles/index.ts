/** What a change of roles does to a copy: see `docs/replication-roles.md`. */
export { isHeir } from './aside.ts';
export {
  type CompleteOrder,
  copyWordsCommand,
  markComplete,
  markPart,
  parseCopyWords,
  readCopyWords,
} from './complete.ts';
export { type Dropped, drop, dropWord, requireOnlyOwnHolds, toDrop } from './drop.ts';
export { type Kept, keptIn } from './kept.ts';
export { type KeptThere, keptThere } from './kept-bytes.ts';
export {
  type AsideParts,
  endAside,
  finishAside,
  isAsideOpen,
  readAside,
  type SetAside,
  setAside,
} from './set-aside.ts';
export { tailsOf } from './tails.ts';
