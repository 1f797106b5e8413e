/** Every action that this controller knows. */
import type { Action } from './action.ts';
import { ADDRESS_ACTIONS } from './addresses.ts';
import { INSTANCE_ACTIONS } from './instances.ts';
import { INTERFACE_ACTIONS } from './interfaces.ts';
import { ROUTE_ACTIONS } from './routes.ts';
import { TARGET_GROUP_ACTIONS } from './target-groups.ts';

export type { Action, Call } from './action.ts';
export { DRY_RUN } from './action.ts';

export const EC2_ACTIONS: ReadonlyMap<string, Action> = new Map(
  Object.entries({ ...ADDRESS_ACTIONS, ...INSTANCE_ACTIONS, ...INTERFACE_ACTIONS, ...ROUTE_ACTIONS }),
);

export const ELB_ACTIONS: ReadonlyMap<string, Action> = new Map(Object.entries(TARGET_GROUP_ACTIONS));
