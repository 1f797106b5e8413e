/** Who gets a connection to the admin service: `TlsListener`, with the limits that suit operators and their tools. */
import type { TLSSocket } from 'node:tls';
import { TlsListener, type TlsMaterial } from '../peer/index.ts';

/** At a limit a connection is closed at once: gRPC clients try again by themselves. */
export const CONNECTION_LIMITS = {
  /** Altogether, those that have not shown a certificate yet among them. */
  connections: 256,
  perAddress: 64,
  handshakeMs: 5_000,
  /** Each command is a connection. Of what they ask, the rate is limited by identity (admission.ts). */
  handshakes: null,
  perOwner: 256,
  overOwner: 'newest-ends',
  /** gRPC closes those without a call. */
  strangerMs: null,
} as const;

export interface AdminListenerOptions {
  /** HOST:PORT */
  readonly listen: string;
  readonly tls: TlsMaterial;
  readonly onConnection: (socket: TLSSocket) => void;
}

export class AdminListener extends TlsListener {
  constructor(options: AdminListenerOptions) {
    super({ ...options, setting: 'admin.listen', minVersion: 'TLSv1.2', limits: CONNECTION_LIMITS });
  }
}
