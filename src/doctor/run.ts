/** Runs checks, each within its own limit: one that hangs costs its limit and nothing of the others. */
import { timeoutSignal } from '../clock.ts';
import { instant } from '../core/index.ts';
import { adviseTiming } from './advice.ts';
import type { Check, DoctorContext } from './context.ts';
import { type DoctorReport, type Finding, type Measurement, unknown, WHOLE_CHECK } from './report.ts';

/** What a check may still say after its limit, before it is given up. */
const GRACE_MS = 200;
const MAX_FINDINGS = 200;
const MAX_DETAIL = 600;

interface Ran {
  readonly check: Check;
  readonly findings: readonly Finding[];
  readonly ms: number;
}

/** Never throws for what a check does. In the order of `checks`. */
export async function runDoctor(context: DoctorContext, checks: readonly Check[]): Promise<DoctorReport> {
  const { clock, config } = context;
  const at = new Date(clock.wallMs()).toISOString();
  const ran = new Map<Check, Ran>();
  // Those that measure come first, one by one; a busy event loop would be measured with them.
  for (const check of checks.filter(({ isAlone }) => isAlone)) ran.set(check, await runOne(check, context));
  const others = checks.filter(({ isAlone }) => !isAlone).map((check) => runOne(check, context));
  for (const one of await Promise.all(others)) ran.set(one.check, one);
  const all = checks.flatMap((check) => ran.get(check) ?? []);
  const measured = all.flatMap(({ findings }) => findings.flatMap((finding) => finding.measured ?? []));
  const found = all.flatMap(({ check, findings, ms }) =>
    findings.map(({ subject, result, detail, remedy }) => ({
      name: check.name,
      subject,
      result,
      detail: tidy(detail),
      remedy: remedy === null ? null : remedy.trim(),
      ms,
    })),
  );
  return {
    node: config.node,
    at,
    ok: found.every(({ result }) => result !== 'failed'),
    checks: found,
    advice: { timing: await advice(context, measured) },
  };
}

async function runOne(check: Check, context: DoctorContext): Promise<Ran> {
  const { clock } = context;
  const startedAt = clock.now();
  const limit = timeoutSignal(clock, check.limitMs);
  const end = new AbortController();
  const checkContext = {
    ...context,
    signal: limit.signal,
    deadline: instant(startedAt + check.limitMs),
  };
  const given = clock
    .sleep(check.limitMs + GRACE_MS, end.signal)
    .then((): readonly Finding[] => [
      unknown(
        WHOLE_CHECK,
        `did not end within ${check.limitMs} ms`,
        'Find out what it waits for; run it alone with --checks.',
      ),
    ]);
  const running = Promise.resolve()
    .then(() => check.run(checkContext))
    .catch((error: unknown): readonly Finding[] => [unknown(WHOLE_CHECK, `broke: ${reason(error)}`)]);
  const findings = await Promise.race([running, given]);
  limit.cancel();
  end.abort();
  const ms = Math.round((clock.now() - startedAt) * 10) / 10;
  return { check, findings: findings.slice(0, MAX_FINDINGS), ms };
}

/** Advice without a measurement would be a guess. */
async function advice({ config, clusterTiming }: DoctorContext, measured: readonly Measurement[]) {
  if (!measured.some(({ kind }) => kind === 'round-trips' || kind === 'syncs')) return null;
  const inForce = await clusterTiming().catch(() => null);
  return adviseTiming({ inForce, config: config.timing, watchdog: config.watchdog, measured });
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** On one line, bounded, nothing that moves a terminal's cursor. */
function tidy(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not come through
  return text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, MAX_DETAIL);
}
