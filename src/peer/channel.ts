/** What all our gRPC clients and servers have in common: options, TLS, log level. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { type ChannelOptions, logVerbosity, Server, setLogVerbosity } from '@grpc/grpc-js';
import type { DialTarget } from './dialer.ts';
import { serverNameOf } from './identity.ts';
import { LIMITS, TIMES } from './limits.ts';
import type { TlsMaterial } from './tls.ts';

// grpc-js prints its own lines to stderr, among them every refused listen; ours say the same with names.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

export const secureContext = (tls: TlsMaterial): SecureContext =>
  createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.3' });

/** @param keepaliveMs how long until a connection is probed; ms */
export function channelOptions(target: DialTarget, keepaliveMs: number = TIMES.keepaliveMs): ChannelOptions {
  return {
    // An address may not be a TLS server name; who answers is checked by its identity (Dialer).
    'grpc.ssl_target_name_override': target.node === null ? 'any.quorate' : serverNameOf(target.node),
    'grpc.initial_reconnect_backoff_ms': TIMES.backoffMinMs,
    'grpc.max_reconnect_backoff_ms': TIMES.backoffMaxMs,
    'grpc.dns_min_time_between_resolutions_ms': TIMES.settledMs,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': TIMES.keepaliveMs,
    'grpc.max_send_message_length': LIMITS.messageBytes,
    'grpc.max_receive_message_length': LIMITS.messageBytes,
    // A connection of its own for each channel: else a large append would delay the heartbeats behind it.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // Retries keep copies of what was sent; the core repeats what it still wants.
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
  };
}

/** channelz stays on in the server: without it grpc-js's `forceShutdown` forgets the open connections. */
export const createServer = (): Server =>
  new Server({
    'grpc.max_receive_message_length': LIMITS.messageBytes,
    'grpc.keepalive_time_ms': TIMES.serverKeepaliveMs,
    'grpc.keepalive_timeout_ms': TIMES.serverKeepaliveMs,
  });
