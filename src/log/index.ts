export type { LogMedium } from './data-directory.ts';
export { type DiskMark, type DiskMarks, diskMarks, type FirstAppend } from './disk-mark.ts';
export { decodeEntry, encodeEntry, parseEntry, parseEntryBody } from './entry-codec.ts';
export { ENTRY_LIMITS, entryBodySchema, MAX_BODY_BYTES } from './entry-schema.ts';
export { LogStore, type LogStoreOptions, WRITE_TIMEOUT_MS } from './log-store.ts';
export { applyPersist, LogWriter, openStored, type WritePlan } from './log-writer.ts';
export { type RecoveredLog, recover } from './recover.ts';
export { sha256 } from './sha256.ts';
export {
  applyBatch,
  applyMarker,
  type BatchWrite,
  emptyStoredLog,
  type MarkerWrite,
  type StoredLog,
} from './stored-log.ts';
export { type VerifiedDirectory, type VerifyProblem, verifyDirectory } from './verify.ts';
