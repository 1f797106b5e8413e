/**
 * How many nodes held at once, from what was seen outside of any agent. Pure.
 *
 * A proof says that a node completed a write, or served through the elastic IP, at some instant between `from` and `to`.
 * Two nodes held at once where one proves it before, and again after, the other's proof, and there was no time in between
 * to move there and back.
 */
export interface Proof {
  readonly node: string;
  readonly from: number;
  readonly to: number;
  readonly by: 'device' | 'address';
}

/** Far less than two whole takeovers need: each has an election, commits, and commands in a guest. */
const NO_TIME_TO_MOVE_TWICE_MS = 500;

export function maxHolders(proofs: readonly Proof[]): 0 | 1 | 2 {
  if (proofs.length === 0) return 0;
  const byEnd = proofs.toSorted((one, other) => one.to - other.to);
  return byEnd.some((between, index) => isSurrounded(between, byEnd, index)) ? 2 : 1;
}

function isSurrounded(between: Proof, byEnd: readonly Proof[], index: number): boolean {
  const isOther = (proof: Proof): boolean => proof.node !== between.node;
  const last = byEnd.slice(0, index).findLast((proof) => isOther(proof) && proof.to <= between.from);
  if (last === undefined) return false;
  return byEnd
    .slice(index)
    .some(
      (proof) =>
        proof.node === last.node &&
        proof.from >= between.to &&
        proof.from - last.to < NO_TIME_TO_MOVE_TWICE_MS,
    );
}
