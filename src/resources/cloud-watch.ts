/**
 * Tells somebody who looks of the calls to the cloud: each attempt as it leaves, and how the call ended. While nobody does,
 * `isWatched` is false, and that is all that a call costs. Nothing of what is asked or answered is told, nor who signed:
 * the name, the sizes, the time and the outcome.
 */
export interface CloudCall {
  readonly direction: 'sent' | 'received';
  /** The SDK's name of the service, as `EC2Client`. */
  readonly client: string;
  /** The cloud's own name of the call, as `AssociateAddress`. */
  readonly name: string;
  /** The same for what leaves and the end; unique in this process. */
  readonly id: number;
  /** Which attempt leaves, or how many have left; 0 where none was let out. */
  readonly attempts: number;
  /** Of the body; null where nobody says. */
  readonly bytes: number | null;
  /** From the beginning, signing included; null for what leaves. */
  readonly latencyMs: number | null;
  /** `ok`, the cloud's own code, or what kept it from being sent; null for what leaves. */
  readonly outcome: string | null;
}

export interface CloudWatch {
  readonly isWatched: boolean;
  /** Asked only while watched. Never throws, never waits. */
  call(seen: CloudCall): void;
}

interface Context {
  readonly clientName?: string;
  readonly commandName?: string;
}

type Middleware = (
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's own types differ for every service
  next: (args: any) => Promise<any>,
  // biome-ignore lint/suspicious/noExplicitAny: likewise; what is read of it is in `Context`
  context: any,
  // biome-ignore lint/suspicious/noExplicitAny: likewise
) => (args: any) => Promise<any>;

interface Place<Step, Priority> {
  readonly step: Step;
  readonly priority: Priority;
  readonly name: string;
}

/** As much of the SDK's stack of middleware as we touch. */
export interface MiddlewareStack {
  add(middleware: Middleware, place: Place<'initialize', 'high'>): void;
  add(middleware: Middleware, place: Place<'deserialize', 'low'>): void;
}

interface Pending {
  readonly id: number;
  attempts: number;
  answerBytes: number | null;
}

let lastId = 0;

/** To be called after every gate was added: what this sees leave has passed them. */
export function watchCalls(stack: MiddlewareStack, watch: CloudWatch): void {
  const pending = new WeakMap<object, Pending>();
  stack.add(
    (next, context: Context) => async (args: unknown) => {
      if (!watch.isWatched) return next(args);
      lastId += 1;
      const mine: Pending = { id: lastId, attempts: 0, answerBytes: null };
      pending.set(context, mine);
      const startedAt = performance.now();
      const end = (outcome: string): void => {
        const { attempts, answerBytes: bytes } = mine;
        const latencyMs = performance.now() - startedAt;
        watch.call({
          direction: 'received',
          ...nameOf(context),
          id: mine.id,
          attempts,
          bytes,
          latencyMs,
          outcome,
        });
      };
      try {
        const answer = await next(args);
        // A rehearsal ends in front of the socket: there was no call.
        if (mine.attempts > 0) end('ok');
        return answer;
      } catch (error) {
        end(codeOf(error));
        throw error;
      }
    },
    { step: 'initialize', priority: 'high', name: 'watchCalls' },
  );
  stack.add(
    (next, context: Context) => async (args: { request: { body?: unknown } }) => {
      const mine = pending.get(context);
      if (mine === undefined) return next(args);
      mine.attempts += 1;
      const bytes = sizeOf(args.request.body);
      watch.call({
        direction: 'sent',
        ...nameOf(context),
        id: mine.id,
        attempts: mine.attempts,
        bytes,
        latencyMs: null,
        outcome: null,
      });
      const result: { response?: { headers?: Record<string, string | undefined> } } = await next(args);
      const length = Number(result.response?.headers?.['content-length'] ?? Number.NaN);
      mine.answerBytes = Number.isSafeInteger(length) ? length : null;
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'watchAttempts' },
  );
}

function nameOf({ clientName = 'cloud', commandName = 'unknown' }: Context): {
  client: string;
  name: string;
} {
  return { client: clientName, name: commandName.replace(/Command$/, '') };
}

/** The cloud's code is the name of the SDK's exception; ours have a code of their own. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

function sizeOf(body: unknown): number | null {
  if (body === undefined || body === null) return 0;
  if (typeof body === 'string') return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.length : null;
}
