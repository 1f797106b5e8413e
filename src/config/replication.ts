/** The section `replication`, as `Config` has it. */
import { resolve } from 'node:path';
import type { z } from 'zod';
import type { MemberConfig, ReplicationChannelConfig, ReplicationConfig } from './config.ts';
import type { Problems } from './problems.ts';
import { formatAddress, parseAddress } from './scalars.ts';
import type { replicationSection } from './schema.ts';

type Section = z.output<typeof replicationSection>;

export function replicationOf(
  section: Section,
  members: readonly MemberConfig[],
  base: string,
  problems: Problems,
): ReplicationConfig {
  const { channel, ...rest } = section;
  return { ...rest, channel: channel === undefined ? null : channelOf(channel, members, base, problems) };
}

function channelOf(
  section: NonNullable<Section['channel']>,
  members: readonly MemberConfig[],
  base: string,
  problems: Problems,
): ReplicationChannelConfig {
  const nodes = members.filter(({ witness }) => !witness);
  for (const id of Object.keys(section.hosts ?? {}))
    if (!nodes.some((node) => node.id === id))
      problems.add(
        ['replication', 'channel', 'hosts', id],
        `"${id}" is no data node`,
        `data nodes: ${nodes.map((node) => node.id).join(', ')}`,
      );
  for (const [id, host] of Object.entries(section.hosts ?? {}))
    if (!isHost(host))
      problems.add(
        ['replication', 'channel', 'hosts', id],
        `"${host}" is not a host name or address`,
        'without a port, as "10.0.1.10"',
      );
  const hosts = Object.fromEntries(
    nodes.map(({ id, peer }) => [id, section.hosts?.[id] ?? hostOf(peer)]),
  ) as ReplicationChannelConfig['hosts'];
  if (section.kind === 'grpc') return { kind: 'grpc', port: section.port, hosts };
  return {
    kind: 'ssh',
    user: section.user,
    port: section.port,
    hosts,
    authorizedKeys: section.authorized_keys === undefined ? null : resolve(base, section.authorized_keys),
    hostKeys: section.host_keys?.map((file) => resolve(base, file)) ?? null,
    command: section.command ?? null,
  };
}

/** It becomes an argument of ssh, which would take one that begins with "-" for an option: no host's name does. */
const isHost = (host: string): boolean => parseAddress(formatAddress({ host, port: 22 })).ok;

function hostOf(peer: string): string {
  const address = parseAddress(peer);
  return address.ok ? address.value.host : peer;
}
