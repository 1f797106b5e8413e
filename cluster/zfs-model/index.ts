export { tokenOf } from './token.ts';
export {
  type BrokenOff,
  Guids,
  type ModelDataset,
  ModelPool,
  type ModelSnapshot,
  type ModelState,
  type Stream,
  ZfsRefusal,
} from './zfs-model.ts';
