/** Who may speak: the node that the certificate names, of this cluster, and a known member. TLS has checked the issuer; here it is about the name. */
import { type ServerUnaryCall, type StatusObject, status } from '@grpc/grpc-js';
import type { NodeId } from '../core/index.ts';
import { identityOf, identityUri } from './identity.ts';
import type { PeerLogger } from './logger.ts';

export interface CallersOptions {
  readonly self: NodeId;
  readonly cluster: string;
  isMember(node: NodeId): boolean;
  /** E5: its id was used before, and never counts again. */
  isRemoved(node: NodeId): boolean;
  readonly logger: PeerLogger;
}

export type Refusal = Pick<StatusObject, 'code' | 'details'>;

/** How the refusal of a removed node begins, which it understands. Text for ever: nodes of other versions read it. */
export const REMOVED = 'removed: ';

/** Distinct refusals that are remembered in order not to be logged again. */
const LOGGED_LIMIT = 1000;

export const refusal = (code: status, details: string): Refusal => ({ code, details });

/** What of a call says who calls. */
type Calling = Pick<ServerUnaryCall<Buffer, unknown>, 'getAuthContext' | 'getPeer'>;

export class Callers {
  readonly #options: CallersOptions;
  readonly #logged = new Set<string>();

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /** Null: a stranger, whose calls are refused one by one, with the reason. */
  memberOf(certificate: Uint8Array): NodeId | null {
    const { cluster, self, isMember } = this.#options;
    const identity = identityOf(certificate);
    if (identity === null || identity.cluster !== cluster || !('node' in identity)) return null;
    return identity.node !== self && isMember(identity.node) ? identity.node : null;
  }

  /** The node that speaks; or why it may not, which is logged once. */
  admit(
    call: Calling,
  ): { readonly ok: true; readonly node: NodeId } | { readonly ok: false; readonly why: Refusal } {
    const found = this.#authenticate(call);
    if (!('code' in found)) return { ok: true, node: found.node };
    this.#logOnce(call.getPeer(), found.details);
    return { ok: false, why: found };
  }

  whyStranger(node: NodeId): Refusal {
    const { cluster, self, isRemoved } = this.#options;
    return refusal(
      status.PERMISSION_DENIED,
      isRemoved(node)
        ? `${REMOVED}${node} was removed from ${cluster}, says the log of ${self} (E5)`
        : `${node} is not a member that ${self} knows`,
    );
  }

  #authenticate(call: Calling): { readonly node: NodeId } | Refusal {
    const { cluster, self, isMember } = this.#options;
    const certificate = call.getAuthContext().sslPeerCertificate?.raw;
    if (certificate === undefined)
      return refusal(status.UNAUTHENTICATED, `${self} wants a certificate of ${cluster}`);
    const identity = identityOf(certificate);
    if (identity === null)
      return refusal(
        status.UNAUTHENTICATED,
        `the certificate names no node of ${cluster}; issue one with quorate pki`,
      );
    if (identity.cluster !== cluster || !('node' in identity))
      return refusal(
        status.PERMISSION_DENIED,
        `the certificate is for ${identityUri(identity)}, but ${self} talks to nodes of ${cluster}`,
      );
    const { node } = identity;
    if (node === self) return refusal(status.PERMISSION_DENIED, `${self} is this node's own name`);
    return isMember(node) ? { node } : this.whyStranger(node);
  }

  #logOnce(address: string, why: string): void {
    if (this.#logged.has(why)) return;
    if (this.#logged.size < LOGGED_LIMIT) this.#logged.add(why);
    this.#options.logger.warn({ event: 'peer-refused', address, why }, `refused ${address}: ${why}`);
  }
}
