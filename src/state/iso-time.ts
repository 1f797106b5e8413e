/**
 * ISO 8601 in UTC of milliseconds since 1970, null for null or for what no calendar shows. Arithmetic of our own,
 * because this folder is pure and may not name `Date`; after H. Hinnant's `civil_from_days`.
 */
export function isoTime(at: number | null): string | null {
  if (at === null || !Number.isFinite(at) || at < 0 || at >= 253_402_300_800_000) return null;
  const wholeMs = Math.floor(at);
  const msOfDay = wholeMs % 86_400_000;
  // Days since 0000-03-01, so that a leap day ends its year.
  const days = (wholeMs - msOfDay) / 86_400_000 + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const pad = (value: number, width: number): string => String(value).padStart(width, '0');
  const time = [3_600_000, 60_000, 1000].map((unit, position) =>
    pad(Math.floor(msOfDay / unit) % (position === 0 ? 24 : 60), 2),
  );
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${time.join(':')}.${pad(msOfDay % 1000, 3)}Z`;
}
