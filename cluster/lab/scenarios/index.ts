import type { Scenario } from '../stage.ts';
import { agentCrash } from './agent-crash.ts';
import { busyUmount } from './busy-umount.ts';
import { diskFailure } from './disk-failure.ts';
import { doublePowerCut } from './double-power-cut.ts';
import { executorHang } from './executor-hang.ts';
import { freeze } from './freeze.ts';
import { isolation } from './isolation.ts';
import { linkCut } from './link-cut.ts';
import { logFull } from './log-full.ts';
import { powerCut } from './power-cut.ts';
import { randomPowerCut } from './random-power-cut.ts';
import { replicationConflict } from './replication-conflict.ts';
import { replicationInterrupted } from './replication-interrupted.ts';
import { replicationModel } from './replication-model.ts';
import { replicationNfs } from './replication-nfs.ts';
import { replicationFailover, replicationRoleSwap } from './replication-role-swap.ts';
import { replicationThroughput } from './replication-throughput.ts';
import { staleStandby } from './stale-standby.ts';
import { switchover } from './switchover.ts';
import { witnessLoss } from './witness-loss.ts';

export const SCENARIOS: readonly Scenario[] = [
  powerCut,
  isolation,
  staleStandby,
  switchover,
  linkCut,
  agentCrash,
  doublePowerCut,
  freeze,
  witnessLoss,
  diskFailure,
  busyUmount,
  executorHang,
  logFull,
  randomPowerCut,
  replicationFailover,
  replicationRoleSwap,
  replicationInterrupted,
  replicationConflict,
  replicationModel,
  replicationNfs,
  replicationThroughput,
];
