/**
 * The cloud, asked before it is needed (complaint 2): who this instance is, whether every call is allowed, whether the
 * interfaces are this node's, and whether the endpoint answers from where this node will ask it, without the address that
 * will only come by that very call.
 */
import type { CloudResourceConfig, ElasticIpResourceConfig } from '../config/index.ts';
import { isWitness } from './ask.ts';
import { cloudResources, interfacesOf, neededCalls, ownInterfaceOf } from './cloud-needs.ts';
import type { CloudCall, CloudProbe, InterfaceView, MovingAddressView } from './cloud-probe.ts';
import { reachability } from './cloud-reach.ts';
import type { Check, CheckContext } from './context.ts';
import { type Instance, type Metadata, readMetadata } from './imds.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';
import { reason } from './run.ts';

const POLICY = 'Attach the policy of cluster/aws to the role of this instance.';

export const cloudCheck: Check = {
  name: 'cloud',
  about: 'instance metadata, credentials, each permission, interfaces, and the way to the endpoint',
  isAlone: false,
  isHarmless: true,
  limitMs: 20_000,
  run: async (context) => {
    const { config } = context;
    if (isWitness(config)) return [skipped('resources', 'a witness calls no cloud')];
    const resources = cloudResources(config);
    if (resources.length === 0 && neededCalls(config).length === 0)
      return [skipped('resources', 'no resource of this node is in a cloud')];
    const metadata = await readMetadata(context);
    const instance = metadata.kind === 'instance' ? metadata.instance : null;
    return [
      ...metadataFindings(context, metadata),
      ...(instance === null ? [] : placement(context, instance, resources)),
      ...(await answers(context, resources, instance)),
    ];
  },
};

function metadataFindings({ config }: CheckContext, metadata: Metadata): readonly Finding[] {
  const subject = 'metadata';
  switch (metadata.kind) {
    case 'off':
      return [skipped(subject, 'AWS_EC2_METADATA_DISABLED is set')];
    case 'silent':
      return config.cloud.endpoint === null
        ? [
            unknown(
              subject,
              `${metadata.why}: this host is no EC2 instance, or IMDSv2 does not reach it`,
              'Allow HttpTokens with a hop limit that fits (containers need 2).',
            ),
          ]
        : [skipped(subject, `none here, and the endpoint is ${config.cloud.endpoint}`)];
    case 'odd':
      return [unknown(subject, metadata.why)];
    case 'instance':
      return [
        metadata.instance.answersWithoutToken
          ? warning(
              subject,
              'answers without a token too (IMDSv1): any program that can be made to fetch a URL gets the role',
              'aws ec2 modify-instance-metadata-options --http-tokens required --instance-id ...',
            )
          : ok(subject, `IMDSv2 answers, this is ${metadata.instance.instanceId}`),
      ];
  }
}

/** What the config says of this node against what the instance says of itself. */
function placement(
  { config }: CheckContext,
  instance: Instance,
  resources: readonly CloudResourceConfig[],
): readonly Finding[] {
  const { zone, instanceId, interfaces } = instance;
  const findings: Finding[] = [];
  const stated = config.members.find(({ id }) => id === config.node)?.zone ?? null;
  findings.push(
    stated !== null && stated !== zone
      ? failed(
          'zone',
          `this instance is in ${zone}, the config says ${stated}`,
          'Is this the config of another node? Correct members.ID.zone.',
        )
      : ok('zone', zone),
  );
  const { region } = config.cloud;
  if (region !== null)
    findings.push(
      zone.startsWith(region)
        ? ok('region', region)
        : failed('region', `this instance is in ${zone}, cloud.region is ${region}`, 'Correct cloud.region.'),
    );
  for (const resource of resources) {
    const own = ownInterfaceOf(config, resource);
    if (own === null) continue;
    const subject = `interface of ${resource.name}`;
    findings.push(
      interfaces.includes(own)
        ? ok(subject, `${own} is attached to this instance`)
        : failed(
            subject,
            `${own} is not attached to ${instanceId}, which has ${interfaces.join(', ')}`,
            'Attach it, or correct "interfaces": calls would move the address to another host.',
          ),
    );
  }
  return findings;
}

/** All that needs a client. One per local address: `via` may differ from resource to resource. */
async function answers(
  context: CheckContext,
  resources: readonly CloudResourceConfig[],
  instance: Instance | null,
): Promise<readonly Finding[]> {
  const vias = [...new Set(resources.map((resource) => resource.via))];
  let probe: CloudProbe;
  try {
    // An idle node's port is down: from where the calls will leave is tried below, what they may do is not about that.
    probe = await context.cloud(null);
  } catch (error) {
    return [unknown('client', `cannot be loaded: ${reason(error)}`)];
  }
  try {
    const who = await credentials(context, probe);
    if (who.result !== 'ok') return [who, ...(await reachability(context, vias, []))];
    const [permissions, addresses, interfaces] = await Promise.all([
      Promise.all(neededCalls(context.config).map((call) => permission(context, probe, call))),
      movingAddresses(context, probe, resources),
      interfaceFindings(context, probe, resources, instance),
    ]);
    const seen = addresses.flatMap(({ view }) => (view === null ? [] : [view]));
    return [
      who,
      ...permissions,
      ...addresses.map(({ finding }) => finding),
      ...interfaces,
      ...(await reachability(context, vias.length === 0 ? [null] : vias, seen)),
    ];
  } finally {
    probe.close();
  }
}

async function credentials({ signal }: CheckContext, probe: CloudProbe): Promise<Finding> {
  const subject = 'credentials';
  try {
    return ok(subject, await probe.credentials(signal));
  } catch (error) {
    return failed(
      subject,
      `none: ${reason(error)}`,
      'Give this instance a role (an instance profile), or correct the environment.',
    );
  }
}

/** Stable from run to run, also where there are many tables. */
const subjectOf = ({ action, routeTableId, instanceId, allocationId }: CloudCall): string =>
  [action, routeTableId ?? instanceId ?? allocationId].filter((part) => part !== undefined).join(' ');

async function permission({ signal }: CheckContext, probe: CloudProbe, call: CloudCall): Promise<Finding> {
  const subject = subjectOf(call);
  const answer = await probe.permission(call, signal);
  switch (answer.kind) {
    case 'allowed':
      return ok(subject, 'allowed');
    case 'denied':
      return failed(subject, `not allowed: ${answer.why}`, `${POLICY} It lacks ${call.action}.`);
    case 'unknown':
      return unknown(subject, answer.why);
  }
}

interface AddressSeen {
  readonly finding: Finding;
  readonly view: MovingAddressView | null;
}

function movingAddresses(
  context: CheckContext,
  probe: CloudProbe,
  resources: readonly CloudResourceConfig[],
): Promise<AddressSeen[]> {
  const addresses = resources.filter((resource) => resource.kind === 'elastic-ip');
  return Promise.all(addresses.map((resource) => oneAddress(context, probe, resource)));
}

async function oneAddress(
  { signal }: CheckContext,
  probe: CloudProbe,
  resource: ElasticIpResourceConfig,
): Promise<AddressSeen> {
  const subject = `address ${resource.name}`;
  const { allocation } = resource;
  try {
    const view = await probe.describeAddress(allocation, signal);
    if (view === null)
      return {
        finding: failed(
          subject,
          `${allocation} does not exist`,
          'Correct "allocation", or allocate an address.',
        ),
        view,
      };
    const known = interfacesOf(resource);
    if (view.interfaceId === null)
      return { finding: ok(subject, `${view.publicIp} is with nobody now`), view };
    return known.includes(view.interfaceId)
      ? { finding: ok(subject, `${view.publicIp} is with ${view.interfaceId}`), view }
      : {
          finding: warning(
            subject,
            `${view.publicIp} is with ${view.interfaceId}, which belongs to no member`,
            'Find out who associated it: a planned takeover would refuse to take it away.',
          ),
          view,
        };
  } catch (error) {
    return { finding: unknown(subject, `not known: ${reason(error)}`), view: null };
  }
}

/** All members' interfaces, asked in one call; that of this node must be this instance's. */
async function interfaceFindings(
  { config, signal }: CheckContext,
  probe: CloudProbe,
  resources: readonly CloudResourceConfig[],
  instance: Instance | null,
): Promise<readonly Finding[]> {
  const ids = [...new Set(resources.flatMap(interfacesOf))];
  if (ids.length === 0) return [];
  let views: readonly (InterfaceView | null)[];
  try {
    views = await probe.describeInterfaces(ids, signal);
  } catch (error) {
    return [unknown('interfaces', `not known: ${reason(error)}`)];
  }
  const byId = new Map(ids.map((id, at) => [id, views[at] ?? null]));
  const findings = [...byId].flatMap(([id, view]): Finding[] =>
    view === null
      ? [failed(`interface ${id}`, 'does not exist', 'Correct "interfaces" in the config.')]
      : view.instanceId === null
        ? [failed(`interface ${id}`, 'is attached to no instance', 'Attach it to its node.')]
        : [ok(`interface ${id}`, `is attached to ${view.instanceId}`)],
  );
  for (const resource of resources) {
    const own = ownInterfaceOf(config, resource);
    const view = own === null ? null : (byId.get(own) ?? null);
    if (own === null || view === null) continue;
    if (instance !== null && view.instanceId !== null && view.instanceId !== instance.instanceId)
      findings.push(
        failed(
          `owner of ${own}`,
          `is attached to ${view.instanceId}, this instance is ${instance.instanceId}`,
          'Is this the config of another node? Correct "interfaces" or "node".',
        ),
      );
    if (resource.kind === 'vpc-route') findings.push(sourceDestCheck(resource, view));
  }
  return findings;
}

/** Packets to an address that is not the interface's own are dropped where it is on. */
function sourceDestCheck(
  resource: CloudResourceConfig,
  { id, sourceDestCheck: isOn }: InterfaceView,
): Finding {
  const subject = `source/destination check of ${resource.name}`;
  if (isOn === null) return unknown(subject, `${id} does not say it`);
  return isOn
    ? failed(
        subject,
        `${id} checks source and destination: it drops what the route sends to it`,
        `aws ec2 modify-network-interface-attribute --no-source-dest-check --network-interface-id ${id}`,
      )
    : ok(subject, `off on ${id}`);
}
