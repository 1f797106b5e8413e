export { decodeEntry, encodeEntry, parseEntry, parseEntryBody } from './entry-codec.ts';
export { ENTRY_LIMITS, entryBodySchema, MAX_BODY_BYTES } from './entry-schema.ts';
export { sha256 } from './sha256.ts';
