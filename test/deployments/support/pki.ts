import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testTls } from '../../support/pki.ts';

/** A directory with the certificates that the shipped configs name; a config is tried in it. */
export async function hostDirectory(): Promise<{ directory: string; remove(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-host-'));
  const { ca, cert, key } = await testTls('nas-prod', 'a');
  writeFileSync(join(directory, 'ca.pem'), ca);
  writeFileSync(join(directory, 'node.pem'), cert);
  writeFileSync(join(directory, 'node.key'), key);
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export function place(file: string, directory: string): string {
  const path = join(directory, 'quorate.yaml');
  copyFileSync(file, path);
  return path;
}
