import type { Metafile } from 'esbuild';

export function bundle(
  entries: Readonly<Record<string, string>>,
  outdir: string,
  write?: boolean,
): Promise<Metafile>;
