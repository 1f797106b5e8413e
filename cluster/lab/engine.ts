/** What runs a guest. User-mode Linux is the quick one (uml.ts); one for QEMU implements the same. */
import type { NodeName } from './hosts.ts';

export type EngineName = 'uml';
export type Power = 'on' | 'frozen' | 'off';

export interface MachinePlan {
  readonly node: NodeName;
  readonly stateDisk: string;
  /** Null: a witness has none. */
  readonly dataDisk: string | null;
  /** Appended to, over all boots. */
  readonly consoleLog: string;
  readonly agentLog: string;
  /** For what the engine keeps while a guest runs. */
  readonly folder: string;
  readonly dist: string;
  /** Where init.sh is. */
  readonly guest: string;
  /** In whole seconds, as the kernel counts. */
  readonly watchdogS: number;
  /** It ended by itself: its watchdog fired, or it crashed. Nothing of it runs any more. */
  readonly onReset: () => void;
}

/** One host's power supply. A cut is at once: kernel, page cache and programs are gone when it resolves. */
export interface Machine {
  readonly power: Power;
  /** Process id on this machine; null while it is off. */
  readonly pid: number | null;
  start(): void;
  powerOff(): Promise<void>;
  /** It stands still, and its clock runs on. */
  freeze(): void;
  thaw(): void;
}

export interface Engine {
  readonly name: EngineName;
  machine(plan: MachinePlan): Machine;
}
