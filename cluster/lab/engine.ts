/** What runs a guest: user-mode Linux is the quick one (uml.ts), QEMU the one with everything (qemu/). */
import type { NodeName } from './hosts.ts';

export const ENGINES = ['uml', 'qemu'] as const;
export type EngineName = (typeof ENGINES)[number];
export type Power = 'on' | 'frozen' | 'off';

export interface LabPlan {
  /** For what the engine keeps while a lab runs; it goes with the lab. */
  readonly folder: string;
  readonly dist: string;
  readonly checkout: string;
}

export interface MachinePlan extends LabPlan {
  readonly node: NodeName;
  readonly stateDisk: string;
  /** DRBD's volumes first; a witness has none. */
  readonly dataDisks: readonly string[];
  /** Appended to, over all boots. */
  readonly consoleLog: string;
  readonly agentLog: string;
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
  /** Makes what all machines of a lab need, before the first of them. */
  prepare(lab: LabPlan): Promise<void>;
  machine(plan: MachinePlan): Machine;
}
