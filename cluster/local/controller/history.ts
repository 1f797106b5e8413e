/** The latest calls, for tests and for people: who asked for what, from which address, and what became of it. */

export interface CallRecord {
  readonly seq: number;
  readonly requestId: string;
  /** Wall clock, for people. */
  readonly at: string;
  /** Monotonic, the same clock in all processes of the host. */
  readonly arrivedMs: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly service: 'ec2' | 'elasticloadbalancing';
  readonly action: string | null;
  readonly params: Readonly<Record<string, string>>;
  readonly accessKey: string | null;
  readonly region: string | null;
  /** Same for all attempts of one `send()` of an SDK. */
  readonly invocationId: string | null;
  /** As the SDK writes it: `attempt=1; max=3`. */
  readonly attempt: string | null;
  faults: readonly string[];
  /** When the action took effect; null as long as it did not, and for errors and dry runs. */
  executedMs: number | null;
  /** `ok` or the EC2 error code; null while undecided and for calls that never arrived. */
  result: string | null;
  status: number | null;
  reply: 'pending' | 'sent' | 'reset' | 'silence' | 'client-gone';
  ms: number | null;
}

/** Older ones are forgotten. */
export const MAX_CALLS = 5_000;

export class CallHistory {
  #calls: CallRecord[] = [];
  #nextSeq = 1;

  begin(
    call: Omit<CallRecord, 'seq' | 'faults' | 'executedMs' | 'result' | 'status' | 'reply' | 'ms'>,
  ): CallRecord {
    const record: CallRecord = {
      ...call,
      seq: this.#nextSeq++,
      faults: [],
      executedMs: null,
      result: null,
      status: null,
      reply: 'pending',
      ms: null,
    };
    this.#calls.push(record);
    if (this.#calls.length > MAX_CALLS) this.#calls.shift();
    return record;
  }

  list({ after = 0, action = null }: { after?: number; action?: string | null } = {}): CallRecord[] {
    return this.#calls
      .filter((call) => call.seq > after && (action === null || call.action === action))
      .map((call) => ({ ...call }));
  }

  clear(): void {
    this.#calls = [];
  }
}
