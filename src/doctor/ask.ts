/** Commands that only tell something, and the resources of this node. */
import type { Config, ResourceConfig } from '../config/index.ts';
import { instant } from '../core/index.ts';
import type { CheckContext } from './context.ts';

export type Told =
  | { readonly kind: 'said'; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'missing' }
  /** Not known: too slow, killed, called off. */
  | { readonly kind: 'silent'; readonly why: string };

const COMMAND_LIMIT_MS = 3000;
const MAX_QUOTED = 200;

export async function ask(context: CheckContext, command: readonly string[]): Promise<Told> {
  const { clock, commands, signal } = context;
  const deadline = instant(Math.min(context.deadline, clock.now() + COMMAND_LIMIT_MS));
  const result = await commands.run(command, { deadline, signal });
  switch (result.kind) {
    case 'exited':
      return { kind: 'said', code: result.code, stdout: result.stdout, stderr: result.stderr };
    case 'missing':
      return { kind: 'missing' };
    case 'timed-out':
      return { kind: 'silent', why: `"${command.join(' ')}" was killed after its limit` };
    case 'aborted':
      return { kind: 'silent', why: `"${command.join(' ')}" was called off` };
    case 'died':
      return { kind: 'silent', why: `"${command.join(' ')}" died: ${result.why}` };
  }
}

/** The first words of an output, on one line. */
export function words(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_QUOTED);
}

/** Why an answer is no answer. */
export function complaint(command: string, told: Told): string {
  if (told.kind === 'missing') return `${command} is not installed or not in PATH`;
  if (told.kind === 'silent') return told.why;
  const said = words(told.stderr === '' ? told.stdout : told.stderr);
  return `${command} ended with code ${told.code}${said === '' ? '' : `: ${said}`}`;
}

/** A witness holds nothing (W1). */
export function resourcesOf(config: Config): readonly ResourceConfig[] {
  return isWitness(config) ? [] : config.resources;
}

export function ofKind<Kind extends ResourceConfig['kind']>(
  config: Config,
  kind: Kind,
): readonly Extract<ResourceConfig, { kind: Kind }>[] {
  return resourcesOf(config).filter(
    (resource): resource is Extract<ResourceConfig, { kind: Kind }> => resource.kind === kind,
  );
}

export const isWitness = (config: Config): boolean =>
  config.members.some(({ id, witness }) => id === config.node && witness);

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
