/** What this node knows of tenures, for the receiver of the replication (src/replication/receiver/authority.ts reads it). */
import type { CoreView } from '../core/index.ts';

export interface LocalAuthority {
  /** It holds, is about to, is releasing, or is not sure (L3); or the log says that it does. */
  readonly mayHold: boolean;
  readonly tenure: { readonly epoch: number; readonly node: string; readonly isReleased: boolean } | null;
}

export function authorityOf({
  hold,
  self,
  state,
}: Pick<CoreView, 'hold' | 'self' | 'state'>): LocalAuthority {
  const { tenure } = state;
  const isOwn = tenure !== null && tenure.node === self && !tenure.released;
  return {
    mayHold: hold.kind !== 'none' || isOwn,
    tenure: tenure === null ? null : { epoch: tenure.epoch, node: tenure.node, isReleased: tenure.released },
  };
}
