import { readFileSync } from 'node:fs';
import { QuorateError } from '../errors.ts';
import type { TlsFiles } from './config.ts';

/** PEM texts. Kept out of `Config`, so that a config can be logged. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function readTls(files: TlsFiles): TlsMaterial {
  const read = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new QuorateError('certificate-unreadable', `cannot read ${file}: ${reason}`, { cause: error });
    }
  };
  return { ca: read(files.caFile), cert: read(files.certFile), key: read(files.keyFile) };
}
