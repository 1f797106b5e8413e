/** Whether a switch is caught, `npm run sim -- --switches` shows; that it still fits the source, this does. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
// @ts-expect-error plain JavaScript: the bundler reads it too
import { SWITCHES as table } from './switches.mjs';

interface Switch {
  readonly off: string;
  readonly fires: readonly string[];
  readonly harms: string;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
}
const SWITCHES = table as Readonly<Record<string, Switch>>;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const WANTED = 'L1 L2 L3 L4 L5 L6 E2 E4 W2 W3 H2 H3 R2 R3 R4 O1 O2 D1 D2'.split(' ');

describe('switches', () => {
  test('there is one for every rule that must have one', () => {
    expect(Object.keys(SWITCHES)).toEqual(expect.arrayContaining(WANTED));
  });

  test.each(Object.entries(SWITCHES))(
    '%s fits the source, and says what must notice it',
    (_, { edits, fires, harms }) => {
      expect(edits.length).toBeGreaterThan(0);
      expect(fires.length).toBeGreaterThan(0);
      expect(['safety', 'liveness']).toContain(harms);
      for (const { file, find, replace } of edits) {
        expect(replace).not.toBe(find);
        expect(readFileSync(ROOT + file, 'utf8').split(find), `${file}: ${find}`).toHaveLength(2);
      }
    },
  );
});
