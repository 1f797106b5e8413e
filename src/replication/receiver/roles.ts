/**
 * The orders of a change of roles, and what a crash has left of one. Every command that changes something is asked for by itself:
 * a takeover that has begun meanwhile waits for one, and for no more.
 */
import type { Clock } from '../../clock.ts';
import type { Epoch } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { CommandRunner } from '../../resources/index.ts';
import type { ReceiverOrder } from '../channel.ts';
import type { HasDevice } from '../intent-log.ts';
import {
  finishAside,
  isAsideOpen,
  isHeir,
  markComplete,
  markPart,
  readAside,
  setAside,
} from '../roles/index.ts';
import { refused } from './perform.ts';
import { RECEIVE_MARK, type Registration, register, registered } from './registry.ts';

export type RoleOrder = Extract<ReceiverOrder, { readonly kind: 'set-aside' | 'complete' }>;

export const isRoleOrder = (order: ReceiverOrder): order is RoleOrder =>
  order.kind === 'set-aside' || order.kind === 'complete';

interface RoleParts {
  readonly dataDir: string;
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Rejects with why nothing may be changed. */
  readonly mayChange: () => Promise<void>;
}

export async function performRole(
  order: RoleOrder,
  epoch: Epoch,
  host: RoleParts & { readonly hasDevice: HasDevice },
): Promise<void> {
  const parts = { ...host, commands: marked(host) };
  if (order.kind === 'set-aside') {
    await setAside({ ...order, epoch }, { ...parts, mayChange: () => allowed(parts) });
    return;
  }
  const mark = order.hasMore === true ? markPart : markComplete;
  await mark(order.pool, { ...order, epoch }, { ...parts, commands: askingFirst(parts) });
}

/** It was cloned when this tenure's sender had its tail set aside, whatever it has received since. False also where that cannot be read. */
export async function isHeirOf(
  dataset: string,
  epoch: Epoch,
  parts: Omit<RoleParts, 'dataDir' | 'mayChange'>,
): Promise<boolean> {
  try {
    const pool = await readAside(dataset.split('/')[0] ?? '', parts);
    return pool.has(dataset) && isHeir(pool, epoch, dataset);
  } catch (error) {
    if (error instanceof QuorateError) return false;
    throw error;
  }
}

/** What changes something may outlive its limit, and who has started it: by its mark a takeover finds and ends it (registry.ts). */
function marked({ commands, dataDir }: RoleParts): Pick<CommandRunner, 'run'> {
  return {
    run: (command, options) => {
      if (READING.has(command[1] ?? '')) return commands.run(command, options);
      const environment = { ...options.environment, [RECEIVE_MARK]: dataDir };
      return commands.run(command, { ...options, environment });
    },
  };
}

const READING: ReadonlySet<string> = new Set(['list', 'get', 'holds']);

async function allowed({ mayChange }: RoleParts): Promise<boolean> {
  await mayChange();
  return true;
}

function askingFirst({ commands, mayChange }: RoleParts): Pick<CommandRunner, 'run'> {
  return {
    run: async (command, options) => {
      if (!READING.has(command[1] ?? '')) await mayChange();
      return commands.run(command, options);
    },
  };
}

/** One at a time for a pool: two that promote would promote twice. */
export async function registerAside(
  dataDir: string,
  pool: string,
  what: { readonly peer: string; readonly epoch: number },
): Promise<Registration> {
  const registration = await register(dataDir, { ...what, dataset: `(set-aside ${pool})` });
  if (registration === null) throw refused(`what only this node has of ${pool} is being set aside`);
  return registration;
}

/** Pools of which something is being set aside now, by a process that lives. */
export async function asidePools(dataDir: string): Promise<readonly string[]> {
  const names = (await registered(dataDir)).map(({ dataset }) => /^\(set-aside (.+)\)$/.exec(dataset)?.[1]);
  return names.filter((name) => name !== undefined);
}

/** Null: every name has its dataset; or why not, so that nobody takes what is missing for what is not there. */
export async function finishOpen(
  pool: string,
  host: RoleParts & { readonly peer: string },
): Promise<'nothing' | 'done' | { readonly why: string }> {
  const parts = { ...host, commands: marked(host) };
  try {
    if (!(await isAsideOpen(pool, parts))) return 'nothing';
    // Of no tenure: it goes on with what an order has begun.
    const registration = await registerAside(parts.dataDir, pool, { peer: parts.peer, epoch: 0 });
    try {
      await finishAside(pool, { ...parts, mayChange: () => allowed(parts) });
      return 'done';
    } finally {
      await registration.remove();
    }
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { why: `what only this node has is not set aside whole: ${error.message}` };
  }
}
