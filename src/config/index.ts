export * from './config.ts';
export {
  type ConfigFingerprint,
  configFingerprint,
  FINGERPRINT_PARTS,
  type FingerprintPart,
  WITNESS_PARTS,
} from './fingerprint.ts';
export { graphOf, type ResourceNode } from './graph.ts';
export { type LoadOptions, loadConfig, type ParseResult, parseConfig } from './load.ts';
export { memberDifferences } from './member-differences.ts';
export { type Address, formatAddress, formatDuration, parseAddress, parseDuration } from './scalars.ts';
export { suggest } from './suggest.ts';
export { deriveTiming } from './timing.ts';
