/** The part of a pino logger that the transport uses. */
export interface PeerLogger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}
