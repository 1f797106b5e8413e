export { Engine, type EngineOptions } from './engine.ts';
export { LocalPool, type LocalPoolOptions } from './local-pool.ts';
export { readOwnName } from './names.ts';
export { type Keep, toPrune } from './retention.ts';
export { policyOf } from './schedule.ts';
export {
  Board,
  BoardView,
  DATASET_STATES,
  type DatasetState,
  datasetStateSchema,
  type LastEnd,
  lastEndSchema,
  MAX_DATASET_NAME,
  MAX_DATASETS,
  NO_ROUND,
  type Report,
  type Round,
  reportSchema,
  roundSchema,
  said,
} from './state.ts';
