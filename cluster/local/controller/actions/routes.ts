/** Route tables. ReplaceRoute is atomic and wants an existing route; CreateRoute wants none. */
import { canonicalCidr } from '../cidr.ts';
import { applyFilters, type FilterFields, page, selectByIds, tagSet } from '../describe.ts';
import { Ec2Error, invalidCombination, invalidParameterValue, missingParameter } from '../ec2-error.ts';
import type { Query } from '../query.ts';
import { type Route, type RouteTable, type RouteTarget, routeState, type World, withItem } from '../world.ts';
import type { Xml } from '../xml.ts';
import { type Action, type Call, DRY_RUN, FILTERS, needInterface, onlyInterfaceOf, PAGES } from './action.ts';

const tableNotFound = (ids: readonly string[]): Ec2Error =>
  new Ec2Error('InvalidRouteTableID.NotFound', `The routeTable ID '${ids.join(', ')}' does not exist`);

function instanceOf(world: World, { target }: Route): string | null {
  return target.kind === 'interface' ? (world.interfaces.get(target.id)?.instanceId ?? null) : null;
}

function fields(world: World): FilterFields<RouteTable> {
  const gateways = (one: RouteTable) => one.routes.filter(({ target }) => target.kind === 'gateway');
  return {
    'association.main': (one) => [String(one.main)],
    'association.route-table-id': (one) => [one.id],
    'association.subnet-id': (one) => one.subnetIds,
    'route.destination-cidr-block': (one) => one.routes.map((route) => route.destination),
    'route.gateway-id': (one) => gateways(one).map(({ target }) => target.id),
    'route.instance-id': (one) => one.routes.map((route) => instanceOf(world, route)),
    'route.origin': (one) => one.routes.map((route) => route.origin),
    'route.state': (one) => one.routes.map((route) => routeState(world, route)),
    'route-table-id': (one) => [one.id],
    'vpc-id': () => [world.vpcId],
  };
}

function describeRouteTables({ query, view }: Call): { [name: string]: Xml } {
  const ids = query.list('RouteTableId');
  const chosen = selectByIds(view.routeTables, ids, tableNotFound);
  const { items, nextToken } = page(applyFilters(chosen, query, fields(view)), query, ids.length > 0);
  return { routeTableSet: items.map((one) => tableXml(view, one)), nextToken };
}

function tableXml(world: World, one: RouteTable): Xml {
  const association = (subnetId: string | undefined, index: number): Xml => ({
    routeTableAssociationId: `${one.id.replace(/^rtb-/, 'rtbassoc-')}${index}`,
    routeTableId: one.id,
    subnetId,
    main: subnetId === undefined,
    associationState: { state: 'associated' },
  });
  return {
    routeTableId: one.id,
    vpcId: world.vpcId,
    ownerId: world.ownerId,
    routeSet: one.routes.map((route) => routeXml(world, route)),
    associationSet: [...(one.main ? [undefined] : []), ...one.subnetIds].map(association),
    propagatingVgwSet: null,
    tagSet: tagSet(one.tags),
  };
}

function routeXml(world: World, route: Route): Xml {
  const instanceId = instanceOf(world, route);
  return {
    destinationCidrBlock: route.destination,
    gatewayId: route.target.kind === 'gateway' ? route.target.id : undefined,
    instanceId: instanceId ?? undefined,
    instanceOwnerId: instanceId === null ? undefined : world.ownerId,
    networkInterfaceId: route.target.kind === 'interface' ? route.target.id : undefined,
    state: routeState(world, route),
    origin: route.origin,
  };
}

interface Place {
  readonly table: RouteTable;
  readonly destination: string;
  readonly existing: Route | undefined;
}

function place(world: World, query: Query): Place {
  const id = query.required('RouteTableId');
  const table = world.routeTables.get(id);
  if (table === undefined) throw tableNotFound([id]);
  const given = query.required('DestinationCidrBlock');
  const destination = canonicalCidr(given);
  if (destination === null) {
    throw invalidParameterValue(
      `Value (${given}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.`,
    );
  }
  const existing = table.routes.find((route) => route.destination === destination);
  if (existing?.target.kind === 'gateway' && existing.target.id === 'local') {
    throw invalidParameterValue(
      `cannot replace, remove or create local route ${destination} in route table ${id}`,
    );
  }
  return { table, destination, existing };
}

function target(world: World, query: Query): RouteTarget {
  const gatewayId = query.text('GatewayId');
  const interfaceId = query.text('NetworkInterfaceId');
  const instanceId = query.text('InstanceId');
  const given = [gatewayId, interfaceId, instanceId].filter((value) => value !== null).length;
  if (given === 0) throw missingParameter('GatewayId, NetworkInterfaceId or InstanceId');
  if (given > 1) throw invalidCombination('Exactly one target of the route must be specified');
  if (interfaceId !== null) return { kind: 'interface', id: needInterface(world, interfaceId).id };
  if (instanceId !== null) return { kind: 'interface', id: onlyInterfaceOf(world, instanceId).id };
  const known = [...world.routeTables.values()].some((table) =>
    table.routes.some((route) => route.target.kind === 'gateway' && route.target.id === gatewayId),
  );
  if (gatewayId === null || !known || gatewayId === 'local') {
    throw new Ec2Error('InvalidGatewayID.NotFound', `The gateway ID '${gatewayId}' does not exist`);
  }
  return { kind: 'gateway', id: gatewayId };
}

function withRoutes(world: World, table: RouteTable, routes: readonly Route[]): World {
  return withItem(world, 'routeTables', table.id, { ...table, routes });
}

function createRoute({ query, store }: Call): { return: boolean } {
  const world = store.current;
  const { table, destination, existing } = place(world, query);
  const route: Route = { destination, target: target(world, query), origin: 'CreateRoute' };
  if (existing !== undefined) {
    throw new Ec2Error('RouteAlreadyExists', `The route identified by ${destination} already exists.`);
  }
  store.commit(withRoutes(world, table, [...table.routes, route]));
  return { return: true };
}

function replaceRoute({ query, store }: Call): { return: boolean } {
  const world = store.current;
  const { table, destination, existing } = place(world, query);
  const route: Route = { destination, target: target(world, query), origin: 'CreateRoute' };
  if (existing === undefined) {
    throw invalidParameterValue(
      `There is no route defined for '${destination}' in the route table. Use CreateRoute instead.`,
    );
  }
  store.commit(
    withRoutes(
      world,
      table,
      table.routes.map((one) => (one === existing ? route : one)),
    ),
  );
  return { return: true };
}

function deleteRoute({ query, store }: Call): { return: boolean } {
  const world = store.current;
  const { table, destination, existing } = place(world, query);
  if (existing === undefined) {
    throw new Ec2Error(
      'InvalidRoute.NotFound',
      `no route with destination-cidr-block ${destination} in route table ${table.id}`,
    );
  }
  store.commit(
    withRoutes(
      world,
      table,
      table.routes.filter((one) => one !== existing),
    ),
  );
  return { return: true };
}

const ROUTE = [
  DRY_RUN,
  'RouteTableId',
  'DestinationCidrBlock',
  'GatewayId',
  'InstanceId',
  'NetworkInterfaceId',
];

export const ROUTE_ACTIONS = {
  DescribeRouteTables: {
    parameters: [DRY_RUN, 'RouteTableId.N', ...FILTERS, ...PAGES],
    run: describeRouteTables,
  },
  CreateRoute: { parameters: ROUTE, run: createRoute },
  ReplaceRoute: { parameters: ROUTE, run: replaceRoute },
  DeleteRoute: { parameters: [DRY_RUN, 'RouteTableId', 'DestinationCidrBlock'], run: deleteRoute },
} satisfies Record<string, Action>;
