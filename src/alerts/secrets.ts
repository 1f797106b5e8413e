/** What only files hold: read for each message, so that it may be changed at any time, and kept nowhere. */
import { open } from 'node:fs/promises';

const LIMIT_BYTES = 4096;

/** Without the white space around it. Throws an error that names the file and never its contents. */
export async function readSecret(path: string): Promise<string> {
  let text: string;
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(LIMIT_BYTES + 1), 0, LIMIT_BYTES + 1, 0);
      if (bytesRead > LIMIT_BYTES) throw new Error(`it is larger than ${LIMIT_BYTES} bytes`);
      text = buffer.toString('utf8', 0, bytesRead).trim();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : 'unknown'}`);
  }
  if (text === '') throw new Error(`${path} is empty`);
  return text;
}
