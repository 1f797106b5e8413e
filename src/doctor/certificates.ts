/** The own TLS files, and what every peer shows: a certificate that has ended ends the cluster with it. */

import type { MemberConfig } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import type { Check, CheckContext } from './context.ts';
import { addressOf } from './network.ts';
import { type Finding, failed, ok, unknown, warning } from './report.ts';
import { reason } from './run.ts';

const DAY_MS = 86_400_000;
/** As the agent warns at its start. */
const WARNING_MS = 30 * DAY_MS;
const HANDSHAKE_LIMIT_MS = 2000;
const RENEW =
  'Issue new ones with "quorate pki issue", put them in place; the agent takes them within seconds.';

export const certificatesCheck: Check = {
  name: 'certificates',
  about: "this node's TLS files and every peer's certificate: valid, of this cluster, and for how long",
  isAlone: false,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const { config } = context;
    const others = config.members.filter(({ id }) => id !== config.node);
    return Promise.all([ownFiles(context), ...others.map((peer) => ofPeer(context, peer))]);
  },
};

async function ownFiles({ config, clock }: CheckContext): Promise<Finding> {
  const subject = 'own';
  // gRPC comes with it: not before it is needed.
  const { checkTls, readTls } = await import('../peer/index.ts');
  try {
    const now = clock.wallMs();
    const { validForMs } = checkTls(await readTls(config.tls), config, now);
    return lifetime(subject, config.tls.cert, validForMs);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return failed(subject, error.message, RENEW);
  }
}

function lifetime(subject: string, what: string, validForMs: number): Finding {
  const days = Math.floor(validForMs / DAY_MS);
  if (validForMs <= 0) return failed(subject, `${what} has expired`, RENEW);
  return validForMs < WARNING_MS
    ? warning(subject, `${what} ends in ${days} days`, RENEW)
    : ok(subject, `${what} is valid for ${days} days`);
}

async function ofPeer(context: CheckContext, peer: MemberConfig): Promise<Finding> {
  const subject = `peer ${peer.id}`;
  const address = addressOf(peer);
  if (address === null) return unknown(subject, `${peer.peer} is not understood`);
  const { config, clock, network, signal } = context;
  try {
    const { identity, validToMs } = await network.certificateOf(address, HANDSHAKE_LIMIT_MS, signal);
    const wanted = `quorate://${config.cluster}/${peer.id}`;
    if (identity !== wanted)
      return failed(
        subject,
        `${peer.peer} shows a certificate for ${identity ?? 'nobody'}, expected ${wanted}`,
        'Correct members.ID.peer, or the certificate of the node there.',
      );
    return lifetime(subject, `the certificate of ${peer.id}`, validToMs - clock.wallMs());
  } catch (error) {
    const why = reason(error);
    // That nobody is there is what the check "network" says.
    return /certificate|CERT|ALERT|SELF_SIGNED|UNABLE_TO/i.test(why)
      ? failed(
          subject,
          `the handshake with ${peer.peer} fails: ${why}`,
          'Put certificates of one CA on all nodes (quorate pki issue).',
        )
      : unknown(subject, `${peer.peer} showed none: ${why}`);
  }
}
