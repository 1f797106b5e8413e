/**
 * What pairing does on one node, the same on both: for the one whose operator asks the command does it, for the other its
 * agent. What is exchanged comes over the agents' mutual TLS, so nothing is believed because it was seen first.
 */
import { type Config, memberOf, type SshChannelConfig } from '../../../config/index.ts';
import type { NodeId } from '../../../core/index.ts';
import { QuorateError } from '../../../errors.ts';
import { hostKeyAlias, sshPaths } from '../paths.ts';
import { authorize, authorizedFile, authorizedLine, withAuthorized } from './authorized-keys.ts';
import { ensureDirectory, readText, replaceFile } from './file.ts';
import { ensureKey, readPublicKey } from './keys.ts';
import { fingerprint, MAX_HOST_KEYS, ownHostKeys, publicKey } from './public-keys.ts';

/** What one node says of itself to the other. */
export interface Offer {
  /** Empty where there is none yet: only while nothing is written. */
  readonly publicKey: string;
  readonly hostKeys: readonly string[];
}

export interface Paired {
  readonly own: Offer;
  /** What was written, or would be; one sentence each, empty where all is so already. */
  readonly changes: readonly string[];
}

export interface PairParts {
  readonly config: Config;
  readonly peer: NodeId;
  /** How this program is called on this host. */
  readonly command: readonly string[];
}

/** What this node would say of itself; a key is made only where `isDryRun` is false. */
export async function ownOffer({ config }: Pick<PairParts, 'config'>, isDryRun: boolean): Promise<Offer> {
  const channel = sshChannelOf(config);
  const paths = sshPaths(config.dataDir);
  const comment = `quorate-replication:${config.cluster}:${config.node}`;
  const own = isDryRun ? ((await readPublicKey(paths)) ?? '') : await ensureKey(paths, comment);
  return { publicKey: own, hostKeys: await ownHostKeys(channel) };
}

/** Takes the other node in: its host keys are pinned, its key is authorised. Nothing is written on a dry run. */
export async function acceptOffer(parts: PairParts, theirs: Offer, isDryRun: boolean): Promise<Paired> {
  const { config, peer } = parts;
  const channel = sshChannelOf(config);
  const paths = sshPaths(config.dataDir);
  const changes: string[] = [];
  if (isDryRun && (await readPublicKey(paths)) === null) changes.push(`makes a key of its own, ${paths.key}`);
  const own = await ownOffer(parts, isDryRun);
  const offer = checked(theirs, isDryRun);

  const known = offer.hostKeys.map((key) => `${hostKeyAlias(config.cluster, peer)} ${key}\n`).join('');
  const before = await readText(paths.knownHosts);
  if (before !== known) {
    const what = offer.hostKeys.map(fingerprint).join(', ');
    changes.push(`pins the host keys of ${peer} in ${paths.knownHosts}: ${what}`);
    if (!isDryRun) {
      await ensureDirectory(paths.directory, 0o700);
      await replaceFile(paths.knownHosts, { before, text: known, mode: 0o600 });
    }
  }

  const file = await authorizedFile(channel);
  const command = channel.command ?? parts.command;
  const words = [...command, 'replication', 'serve', '--config', config.file, '--node', config.node];
  const authorised = {
    cluster: config.cluster,
    peer,
    publicKey: offer.publicKey === '' ? `(the key that ${peer} makes)` : offer.publicKey,
    command: [...words, '--peer', peer],
  };
  const text = await readText(file.path);
  if (withAuthorized(text, authorised) !== text) {
    changes.push(`authorises ${peer} in ${file.path}: ${authorizedLine(authorised)}`);
    if (!isDryRun) await authorize(file, authorised);
  }
  return { own, changes };
}

/** Throws `usage` where the config has another channel, or none. */
export function sshChannelOf(config: Config): SshChannelConfig {
  const channel = config.replication?.channel ?? null;
  if (config.replication === null)
    throw new QuorateError('replication-not-configured', `${config.file} has no "replication"`);
  if (channel?.kind !== 'ssh')
    throw new QuorateError(
      'usage',
      `${config.node}: replication.channel is not "kind: ssh", so there is nothing to pair`,
    );
  if (memberOf(config, config.node)?.witness !== false)
    throw new QuorateError('usage', `${config.node} is the witness and has no pools`);
  return channel;
}

/** A line break in one of them would be a line of its own in a file that decides who may log in. */
function checked(offer: Offer, isDryRun: boolean): Offer {
  const own = offer.publicKey === '' && isDryRun ? '' : publicKey(offer.publicKey);
  const hostKeys = offer.hostKeys.map(publicKey);
  if (own === null || (own !== '' && !own.startsWith('ssh-ed25519 ')))
    throw new QuorateError('peer-refused', 'what the other node says is its key is none');
  if (hostKeys.length === 0 || hostKeys.length > MAX_HOST_KEYS || hostKeys.includes(null))
    throw new QuorateError('peer-refused', 'what the other node says are the host keys of its sshd are none');
  return { publicKey: own, hostKeys: hostKeys.flatMap((key) => key ?? []).toSorted() };
}
