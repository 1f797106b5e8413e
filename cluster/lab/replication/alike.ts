import type { Stage } from '../stage.ts';
import type { Copies } from './copies.ts';

/** The newest snapshot that both sides have of each, read on both. */
export async function expectAlike(stage: Stage, copies: Copies, datasets: readonly string[]): Promise<void> {
  const snapshots = await copies.newestCommon(datasets);
  const here = await copies.checksums(stage.holder, snapshots);
  const there = await copies.checksums(stage.standby, snapshots);
  const different = snapshots.filter(
    (name) => here.get(name) === undefined || here.get(name) !== there.get(name),
  );
  stage.expect(different.length === 0, `different on both sides: ${different.join(' ')}`);
  stage.note(`${snapshots.length} snapshots have the same content on both sides`);
}
