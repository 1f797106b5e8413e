/** An engine by its name, with everything that it needs in the cache. */
import { assertNever } from '../../src/core/index.ts';
import type { Engine, EngineName } from './engine.ts';
import { unpackedPackages } from './packages.ts';
import { guestImage, QemuEngine } from './qemu/index.ts';
import { UmlEngine } from './uml.ts';

/** Rejects with one sentence when something can neither be found in the cache nor be fetched. */
export async function engineNamed(name: EngineName, say: (text: string) => void): Promise<Engine> {
  switch (name) {
    case 'uml':
      return new UmlEngine(await unpackedPackages(say));
    case 'qemu':
      return new QemuEngine(await guestImage(say));
    default:
      return assertNever(name);
  }
}
