export { type Backend, VpcController, type VpcControllerOptions } from './controller.ts';
export type { Faults, FaultsInput } from './faults.ts';
export type { DeadLinks, Forward } from './forwarder.ts';
export type { CallRecord } from './history.ts';
export type { OnPower, PowerAction, PowerEvent, StopOptions } from './power.ts';
export { type ControllerState, type ControllerStateInput, parseState, readStateFile } from './state-file.ts';
export { checkWorld, type InstanceState, routeState, type World } from './world.ts';
