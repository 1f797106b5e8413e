/**
 * The written forms of single values: durations ("100ms"), percentages ("0.5%"), addresses ("10.0.1.10:7400").
 * Each parser returns the value or a sentence that says what is wrong and how to write it.
 */
import { isIP } from 'node:net';

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly why: string; readonly hint: string | null };

const good = <Value>(value: Value): Parsed<Value> => ({ ok: true, value });
const bad = (why: string, hint: string | null = null): Parsed<never> => ({ ok: false, why, hint });

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** A duration for people: 100ms, 1.5s, 2min. */
export function formatDuration(durationMs: number): string {
  if (durationMs !== 0 && durationMs % 60_000 === 0) return `${durationMs / 60_000}min`;
  if (durationMs !== 0 && durationMs % 1000 === 0) return `${durationMs / 1000}s`;
  return `${durationMs}ms`;
}

/** Milliseconds of "100ms", "1s", "1.5s", "2min", "1h"; a number without a unit is refused, except 0. */
export function parseDuration(
  value: unknown,
  range: { readonly minMs: number; readonly maxMs: number },
): Parsed<number> {
  if (typeof value === 'number' && value !== 0)
    return bad(`a duration needs a unit, got ${value}`, `write "${value}ms" or "${value}s"`);
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Zµ]*)$/.exec(String(value));
  if ((typeof value !== 'string' && value !== 0) || match === null)
    return bad(`expected a duration, got ${show(value)}`, 'write a number and a unit, as "100ms" or "1s"');
  const [, digits = '', unit = ''] = match;
  const unitMs = Number(digits) === 0 && unit === '' ? 1 : UNIT_MS[unit];
  if (unitMs === undefined) {
    const hint = unit === 'm' ? `did you mean "${digits}ms" or "${digits}min"?` : 'units are ms, s, min, h';
    return bad(unit === '' ? `a duration needs a unit, got ${show(value)}` : `unknown unit "${unit}"`, hint);
  }
  const durationMs = Number(digits) * unitMs;
  if (durationMs < range.minMs || durationMs > range.maxMs) {
    return bad(
      `${value} is out of range`,
      `from ${formatDuration(range.minMs)} to ${formatDuration(range.maxMs)}`,
    );
  }
  return good(durationMs);
}

/** The rate of "0.5%" (0.005). */
export function parsePercent(
  value: unknown,
  range: { readonly min: number; readonly max: number },
): Parsed<number> {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*%$/.exec(value) : null;
  if (match === null) return bad(`expected a percentage, got ${show(value)}`, 'write it as "0.5%"');
  const rate = Number(match[1]) / 100;
  if (rate < range.min || rate > range.max)
    return bad(`${value} is out of range`, `from ${range.min * 100}% to ${range.max * 100}%`);
  return good(rate);
}

const RATE_BYTES: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
};
const MIN_RATE = 64 * 1024;
const MAX_RATE = 1024 ** 4;

/** Bytes per second of "50MiB/s". */
export function parseByteRate(value: unknown): Parsed<number> {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)\/s$/.exec(value) : null;
  const unitBytes = RATE_BYTES[match?.[2] ?? ''];
  if (match === null || unitBytes === undefined)
    return bad(`expected bytes per second, got ${show(value)}`, 'write it as "50MiB/s" or "400MB/s"');
  const rate = Math.round(Number(match[1]) * unitBytes);
  return rate < MIN_RATE || rate > MAX_RATE
    ? bad(`${String(value)} is out of range`, 'from 64KiB/s to 1024GiB/s')
    : good(rate);
}

/** "22:00-06:00": minutes of the day; it may go past midnight. */
export function parseTimeWindow(
  value: unknown,
): Parsed<{ readonly fromMinute: number; readonly toMinute: number }> {
  const match =
    typeof value === 'string' ? /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(value) : null;
  const [fromMinute, toMinute] = [1, 3].map((at) => Number(match?.[at]) * 60 + Number(match?.[at + 1]));
  if (match === null || fromMinute === undefined || toMinute === undefined)
    return bad(`expected a part of the day, got ${show(value)}`, 'write it as "22:00-06:00"');
  return fromMinute === toMinute
    ? bad(`${String(value)} has no length`, 'leave "windows" out for the whole day')
    : good({ fromMinute, toMinute });
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** "10.0.1.10:7400", "[fd00::1]:7400", "nas-a.internal:7400" in one normal form. */
export function parseAddress(value: unknown): Parsed<Address> {
  if (typeof value !== 'string') return bad(`expected HOST:PORT, got ${show(value)}`, 'as "10.0.1.10:7400"');
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(value);
  if (match === null) {
    const isBareV6 = isIP(value) === 6;
    const hint = isBareV6 ? `write "[${value}]:7400"` : 'write "10.0.1.10:7400" or "[fd00::1]:7400"';
    return bad(`expected HOST:PORT, got ${show(value)}`, hint);
  }
  const host = (match[1] ?? match[2] ?? '').toLowerCase();
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) return bad(`port ${match[3]} does not exist`, 'from 1 to 65535');
  if (match[1] !== undefined && isIP(host) !== 6) return bad(`"${host}" is not an IPv6 address`);
  if (match[2] !== undefined && isIP(host) === 0) {
    if (/^[\d.]+$/.test(host)) return bad(`"${host}" is not an IPv4 address`);
    if (!isHostName(host)) return bad(`"${host}" is neither an IP address nor a host name`);
  }
  return good({ host, port });
}

export function formatAddress(address: Address): string {
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function isHostName(host: string): boolean {
  return (
    host.length <= 253 && host.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
  );
}

/** A value as it can stand in an error: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
