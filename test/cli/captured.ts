/** What a command says on its two streams while it works. */
import { vi } from 'vitest';

export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `work` resolves with the exit code. */
export async function captured(work: () => Promise<number>): Promise<Captured> {
  let out = '';
  let err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  const code = await work();
  vi.restoreAllMocks();
  return { code, out, err };
}
