import { hash } from 'node:crypto';
import type { Digest } from '../core/index.ts';

/** The digest of production and tests: SHA-256 of the UTF-8 text, in hex. */
export const sha256: Digest = (text) => hash('sha256', text, 'hex');
