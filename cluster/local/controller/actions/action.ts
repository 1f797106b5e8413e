import { Ec2Error } from '../ec2-error.ts';
import type { PowerControl } from '../power.ts';
import type { Query } from '../query.ts';
import type { WorldStore } from '../store.ts';
import { type Interface, interfacesOf, type World } from '../world.ts';
import type { Xml } from '../xml.ts';

/** What an action may use. Changes are checked against the true world; describes show `view`, maybe an older one. */
export interface Call {
  readonly query: Query;
  readonly view: World;
  readonly store: WorldStore;
  readonly power: PowerControl;
  /** Runs later, if the controller still runs then. */
  readonly later: (delayMs: number, work: () => void) => void;
  readonly newAssociationId: () => string;
  readonly newRegistration: () => number;
  readonly reassignMs: number;
}

export interface Action {
  /** Beside Action and Version; N stands for a number. */
  readonly parameters: readonly string[];
  /** Content of the response element, without the request id. */
  readonly run: (call: Call) => { readonly [name: string]: Xml };
}

export const FILTERS = ['Filter.N.Name', 'Filter.N.Value.N'] as const;
export const PAGES = ['MaxResults', 'NextToken'] as const;

/** An action has DryRun exactly when its parameters list it. */
export const DRY_RUN = 'DryRun';

export function needInterface(world: World, id: string): Interface {
  const one = world.interfaces.get(id);
  if (one === undefined) throw interfaceNotFound([id]);
  return one;
}

export function interfaceNotFound(ids: readonly string[]): Ec2Error {
  const named =
    ids.length === 1 ? `networkInterface ID '${ids[0]}' does` : `networkInterface IDs '${ids.join(', ')}' do`;
  return new Ec2Error('InvalidNetworkInterfaceID.NotFound', `The ${named} not exist`);
}

export function instanceNotFound(ids: readonly string[]): Ec2Error {
  const malformed = ids.find((id) => !/^i-[0-9a-z-]+$/.test(id));
  if (malformed !== undefined)
    return new Ec2Error('InvalidInstanceID.Malformed', `Invalid id: "${malformed}"`);
  const named = ids.length === 1 ? `instance ID '${ids[0]}' does` : `instance IDs '${ids.join(', ')}' do`;
  return new Ec2Error('InvalidInstanceID.NotFound', `The ${named} not exist`);
}

/** Where an instance id is given for an interface, the instance must have exactly one. */
export function onlyInterfaceOf(world: World, instanceId: string): Interface {
  if (!world.instances.has(instanceId)) throw instanceNotFound([instanceId]);
  const [first, second] = interfacesOf(world, instanceId);
  if (first === undefined || second !== undefined) {
    const how = first === undefined ? 'no interface is' : 'There are multiple interfaces';
    throw new Ec2Error(
      'InvalidInstanceID',
      `${how} attached to instance '${instanceId}'. Please specify an interface ID for the operation instead.`,
    );
  }
  return first;
}
