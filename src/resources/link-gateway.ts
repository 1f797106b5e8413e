/**
 * Whether a gateway answers on a link, by what the kernel's own neighbour table says: no package is needed for it, and a
 * gateway that answers no ping still answers ARP. Whether something behind the gateway is reached is for others to find out.
 */
import type { Clock } from '../clock.ts';
import type { Instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type Cidr, isLinkLocal } from './ip-address.ts';
import { type NeighbourState, parseNeighbour } from './ip-json.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { ActionContext, Refreshed } from './types.ts';

/** The kernel gives up after three requests, a second apart. */
const LIMIT_MS = 4000;
const POLL_MS = { first: 1, most: 50 } as const;

export interface GatewayOnLink {
  readonly gateway: Cidr;
  readonly interface: string;
  /** Our address to ask from; null: the kernel's choice. */
  readonly source: string | null;
}

export interface GatewayCheck {
  readonly hasAnswered: boolean;
  readonly said: string;
}

/** Resolves with what can be said, also when it certainly does not answer. */
export async function checkGateway(
  on: GatewayOnLink,
  tools: LinuxTools,
  clock: Clock,
  context: ActionContext,
): Promise<GatewayCheck> {
  const { interface: name, source } = on;
  const { address, family } = on.gateway;
  const here = [address, 'dev', name];
  const no = (said: string): GatewayCheck => ({ hasAnswered: false, said });
  /** Whether silence means a dead gateway: not when the kernel had no address yet to ask from. */
  let isSure = family === 'inet';
  let last = await readNeighbour(on, tools, context);
  /** An old entry is forgotten first, because it would count as good for another half a minute. */
  const ask = async (): Promise<void> => {
    if (last.kind !== 'read' || last.value !== 'none')
      await tools.run(['ip', 'neigh', 'del', ...here], context);
    // By itself the kernel asks from the link-local address, which is not usable for a second after a link came up.
    if (family === 'inet6' && source !== null && !isLinkLocal(address)) {
      const from = ['-I', source, '-I', name];
      const ping = ['ping', '-6', '-n', '-q', '-c', '1', '-W', '1', ...from, address];
      isSure = (await tools.run(ping, context)).kind === 'exited';
      if (isSure) return;
    }
    await tools.run(['ip', 'neigh', 'replace', ...here, 'use'], context);
  };

  const end = Math.min(context.deadline, clock.now() + LIMIT_MS);
  let pauseMs: number = POLL_MS.first;
  if (last.kind === 'read' && last.value !== 'answers' && last.value !== 'fixed') {
    await ask();
    last = await readNeighbour(on, tools, context);
  }
  for (;;) {
    if (last.kind === 'unknown') return no(`whether gateway ${address} answers is unknown: ${last.why}`);
    const state = last.value;
    // Nobody can tell: its link address is as somebody has said it.
    if (state === 'fixed') return no(`gateway ${address} has a fixed link address`);
    if (state === 'answers') return { hasAnswered: true, said: `gateway ${address} answers` };
    if (context.signal.aborted) throw new QuorateError('order-ended', 'asking the gateway was called off');
    const isOver = clock.now() + pauseMs >= end;
    if (state === 'silent' && isSure) return no(`gateway ${address} does not answer on ${name}`);
    if (isOver) return no(`whether gateway ${address} answers is not known yet`);
    if (state === 'silent') await ask();
    await clock.sleep(pauseMs, context.signal);
    pauseMs = Math.min(pauseMs * 2, POLL_MS.most);
    last = await readNeighbour(on, tools, context);
  }
}

function readNeighbour(
  { gateway: { address }, interface: name }: GatewayOnLink,
  tools: LinuxTools,
  context: ActionContext,
): Promise<Reading<NeighbourState>> {
  const command = ['ip', '-j', 'neigh', 'show', address, 'dev', name];
  return tools.read(command, context, (text) => parseNeighbour(text, address));
}

/** As long, and as often, as the kernel itself goes on asking; a router that takes over from another one needs as long. */
const ROUND = { questions: 3, ms: 3000 } as const;

/**
 * What is known of the gateway in this tenure. Only one that has answered can fall silent: where it never answered, nobody can
 * tell a dead cable from a gateway that does not like to be asked. And only after a round of questions by broadcast that found no
 * answer either: by unicast a gateway with a new link address is not found, and is well.
 */
export class GatewayMemory {
  #hasAnswered = false;
  #round: 'unicast' | 'broadcast' | 'silent' = 'unicast';
  /** The first question of the round, and how many have found no answer. */
  #askedAt: Instant | null = null;
  #unanswered = 0;

  get isSilent(): boolean {
    return this.#round === 'silent';
  }

  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  get mustBroadcast(): boolean {
    return this.#round !== 'unicast';
  }

  asked(now: Instant): void {
    this.#askedAt ??= now;
  }

  answered(): void {
    this.#hasAnswered = true;
    this.#beginRound('unicast');
  }

  /** Says whether a round of questions has ended without an answer. */
  unanswered(now: Instant, hasKernelGivenUp: boolean): boolean {
    if (this.#askedAt === null || this.#round === 'silent') return false;
    this.#unanswered += 1;
    const hasBegunLongAgo = now >= this.#askedAt + ROUND.ms;
    // The kernel gives up after as long; a host that stood still for a minute finds an old entry, and has asked once.
    const isOver = hasBegunLongAgo && (hasKernelGivenUp || this.#unanswered >= ROUND.questions);
    if (isOver) this.#beginRound(this.#next);
    return isOver;
  }

  /** What became of the questions cannot be read: they count no more. */
  unclear(): void {
    this.#askedAt = null;
    this.#unanswered = 0;
  }

  forget(): void {
    this.#hasAnswered = false;
    this.#beginRound('unicast');
  }

  get #next(): 'unicast' | 'broadcast' | 'silent' {
    if (!this.#hasAnswered) return 'unicast';
    return this.#round === 'unicast' ? 'broadcast' : 'silent';
  }

  #beginRound(round: 'unicast' | 'broadcast' | 'silent'): void {
    this.#round = round;
    this.unclear();
  }
}

/**
 * Reads what came of the last question, and asks again. By unicast the kernel sends everything on to the link address that it
 * knows meanwhile (`nud probe`): asking interrupts nothing. Its own verdict comes late or never where the gateway is heard but does
 * not hear us: each question of the gateway ends the kernel's own.
 */
export async function askGatewayAgain(
  on: GatewayOnLink,
  memory: GatewayMemory,
  tools: LinuxTools,
  clock: Clock,
  context: ActionContext,
): Promise<Refreshed> {
  const { address } = on.gateway;
  const reading = await readNeighbour(on, tools, context);
  if (reading.kind === 'unknown') {
    memory.unclear();
    return { outcome: 'unclear', said: reading.why };
  }
  const state = reading.value;
  if (state === 'fixed') return { outcome: 'well', said: `gateway ${address} has a fixed link address` };
  if (state === 'answers') memory.answered();
  const isRoundOver = state !== 'answers' && memory.unanswered(clock.now(), state === 'silent');
  if (state !== 'asking' || isRoundOver) {
    const here = [address, 'dev', on.interface];
    const isBroadcast = memory.mustBroadcast || state === 'none' || state === 'silent';
    // Forgotten first: the kernel asks by broadcast for what it does not know. Nothing has come that way for seconds.
    if (isBroadcast && state !== 'none') await tools.run(['ip', 'neigh', 'del', ...here], context);
    const question = isBroadcast ? ['replace', ...here, 'use'] : ['change', ...here, 'nud', 'probe'];
    // An entry that is gone by now is asked for the next time.
    await tools.run(['ip', 'neigh', ...question], context);
    memory.asked(clock.now());
  }
  if (state === 'answers') return { outcome: 'well', said: `gateway ${address} answers` };
  if (memory.isSilent)
    return { outcome: 'trouble', said: `gateway ${address} answers no longer on ${on.interface}` };
  return memory.hasAnswered
    ? { outcome: 'unclear', said: `gateway ${address} does not answer yet` }
    : { outcome: 'well', said: `gateway ${address} has not answered in this tenure` };
}
