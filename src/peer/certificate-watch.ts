/**
 * The TLS files while the agent runs: read again every few seconds, taken where they are good, refused aloud where they are not.
 *
 * 1. What is in use has passed `checkTls`: a bad set never replaces it, however long the old one has ended.
 * 2. The files are read, not watched: a link that is swapped, a mount, an editor's rename all look the same to a read.
 * 3. Whatever stands in the files, the agent goes on: what a library cannot read is bad, and no mistake of ours.
 * 4. Three files are not written at one instant: what is bad is refused only where the next look finds it unchanged.
 */
import type { X509Certificate } from 'node:crypto';
import { type Clock, type Timer, timeoutSignal } from '../clock.ts';
import { InvariantError, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { certificatesIn, checkTls, readTls, type TlsMaterial, type TlsPaths } from './tls.ts';

export const CERTIFICATE_TIMES = {
  lookEveryMs: 5_000,
  /** A look that takes longer has found nothing; the next one waits for its end all the same. */
  readLimitMs: 2_000,
  /** Before the end it is said aloud: in the log, the status, the metrics, by doctor. */
  noticeMs: 30 * 86_400_000,
  /** How often the log repeats that, and a refusal that lasts. */
  repeatMs: 86_400_000,
} as const;

export interface CertificateLogger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface CertificateWatchOptions {
  readonly paths: TlsPaths;
  /** In use; has passed `checkTls`, or the start fails. */
  readonly tls: TlsMaterial;
  readonly expected: { readonly cluster: string; readonly node: NodeId };
  readonly clock: Clock;
  readonly logger: CertificateLogger;
  /** A good set, for connections from now on. */
  onRenewed(tls: TlsMaterial): void;
  /** For tests. */
  readonly read?: (paths: TlsPaths, signal: AbortSignal) => Promise<TlsMaterial>;
}

/** What is in use. */
export interface CertificateFacts {
  /** Ends of the validity, ms since 1970. Of several authorities in the file the one that ends first. */
  readonly ends: { readonly node: number; readonly ca: number };
  /** Why the files as they are now are not used; null where they are. */
  readonly refused: string | null;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  #tls: TlsMaterial;
  #ends: CertificateFacts['ends'];
  #refused: string | null = null;
  /** Of the last look, where it was not good. */
  #bad: string | null = null;
  #timer: Timer | null = null;
  #isEnded = false;
  #saidAtMs: Record<'refused' | 'ends', number>;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#tls = options.tls;
    this.#ends = endsOf(options.tls);
    // The start has said it.
    this.#saidAtMs = { refused: 0, ends: options.clock.wallMs() };
  }

  get current(): TlsMaterial {
    return this.#tls;
  }

  get facts(): CertificateFacts {
    return { ends: this.#ends, refused: this.#refused };
  }

  start(): void {
    this.#timer = this.#options.clock.after(CERTIFICATE_TIMES.lookEveryMs, () => {
      void this.look().finally(() => {
        if (!this.#isEnded) this.start();
      });
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
  }

  /** Never rejects, but for a broken invariant. */
  async look(): Promise<void> {
    const { clock, paths, read = readTls } = this.#options;
    const limit = timeoutSignal(clock, CERTIFICATE_TIMES.readLimitMs);
    try {
      const found = await read(paths, limit.signal);
      if (!this.#isEnded) this.#judge(found);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // Not there, or not to be read: as somebody who renews them may leave them for a moment.
      if (!this.#isEnded) this.#refuse(asProblem(error), String(error));
    } finally {
      limit.cancel();
    }
    if (!this.#isEnded) this.#warnOfEnd();
  }

  #judge(found: TlsMaterial): void {
    if (isSame(found, this.#tls)) return this.#settle();
    try {
      checkTls(found, this.#options.expected, this.#options.clock.wallMs());
      this.#take(found);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      const problem = asProblem(error);
      this.#refuse(problem, [problem.message, found.ca, found.cert, found.key].join('\n'));
    }
  }

  /** The files are those that are in use: there is nothing to refuse (any more). */
  #settle(): void {
    if (this.#refused !== null)
      this.#options.logger.info(
        { event: 'certificate-restored' },
        'the TLS files are again those that are in use',
      );
    this.#bad = null;
    this.#refused = null;
  }

  #take(tls: TlsMaterial): void {
    const newEnds = endsOf(tls);
    this.#options.onRenewed(tls);
    this.#tls = tls;
    this.#ends = newEnds;
    this.#bad = null;
    this.#refused = null;
    this.#saidAtMs = { refused: 0, ends: 0 };
    const ends = new Date(this.#ends.node).toISOString();
    this.#options.logger.info(
      { event: 'certificate-renewed', ends },
      `the TLS files were renewed: new connections use them, those that are open go on; valid until ${ends}`,
    );
  }

  /** `found`: by which the next look knows that it has found the same. */
  #refuse(problem: QuorateError, found: string): void {
    const isSecondLook = this.#bad === found;
    this.#bad = found;
    if (!isSecondLook) return;
    const isNew = this.#refused !== problem.message;
    this.#refused = problem.message;
    if (!isNew && !this.#isTimeToSay('refused')) return;
    this.#saidAtMs.refused = this.#options.clock.wallMs();
    this.#options.logger.error(
      { event: 'certificate-refused', code: problem.code, why: problem.message },
      `the TLS files as they are now are not used, the old ones go on: ${problem.message}`,
    );
  }

  #warnOfEnd(): void {
    const { clock, logger } = this.#options;
    const leftMs = Math.min(this.#ends.node, this.#ends.ca) - clock.wallMs();
    if (leftMs >= CERTIFICATE_TIMES.noticeMs || !this.#isTimeToSay('ends')) return;
    this.#saidAtMs.ends = clock.wallMs();
    const which =
      this.#ends.node <= this.#ends.ca ? "this node's certificate" : "the cluster's certificate authority";
    const days = Math.floor(leftMs / 86_400_000);
    const message = leftMs <= 0 ? `${which} has expired` : `${which} ends in ${days} days`;
    logger.warn({ event: 'certificate-ends', days }, message);
  }

  #isTimeToSay(what: 'refused' | 'ends'): boolean {
    return this.#options.clock.wallMs() - this.#saidAtMs[what] >= CERTIFICATE_TIMES.repeatMs;
  }
}

const asProblem = (error: unknown): QuorateError =>
  error instanceof QuorateError
    ? error
    : new QuorateError('certificate-unreadable', `the TLS files cannot be read: ${String(error)}`, {
        cause: error,
      });

const isSame = (one: TlsMaterial, other: TlsMaterial): boolean =>
  one.ca === other.ca && one.cert === other.cert && one.key === other.key;

function endsOf({ ca, cert, files }: TlsMaterial): CertificateFacts['ends'] {
  const [leaf] = certificatesIn(cert, files?.cert ?? 'tls.cert');
  const roots = certificatesIn(ca, files?.ca ?? 'tls.ca');
  const endOf = ({ validTo }: X509Certificate): number => Date.parse(validTo);
  return { node: endOf(leaf), ca: Math.min(...roots.map(endOf)) };
}

/** A sentence for each of what somebody must see to within 30 days. Pure. */
export function certificateWarnings({ ends, refused }: CertificateFacts, wallMs: number): string[] {
  const which = { node: "this node's certificate", ca: "the cluster's certificate authority" } as const;
  return [
    ...(refused === null ? [] : [`the TLS files as they are now are not used: ${refused}`]),
    ...(['node', 'ca'] as const).flatMap((one) => {
      const leftMs = ends[one] - wallMs;
      if (leftMs >= CERTIFICATE_TIMES.noticeMs) return [];
      const day = new Date(ends[one]).toISOString().slice(0, 10);
      return [`${which[one]} ${leftMs <= 0 ? 'has expired' : 'expires'} on ${day}`];
    }),
  ];
}
