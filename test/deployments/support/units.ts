/** Reads systemd's unit files: sections with keys, each of which may be there several times. */

export type Unit = ReadonlyMap<string, readonly string[]>;

/** Keys as `Section.Key`. */
export function parseUnit(text: string): Unit {
  const unit = new Map<string, string[]>();
  let section = '';
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading !== undefined) section = heading;
    else if (line !== '' && !line.startsWith('#')) {
      const [key = '', value = ''] = line.split(/=(.*)/s);
      const name = `${section}.${key}`;
      unit.set(name, [...(unit.get(name) ?? []), value]);
    }
  }
  return unit;
}

/** The words of all lines of a key. */
export const words = (unit: Unit, key: string): string[] =>
  (unit.get(key) ?? []).flatMap((value) => value.split(/\s+/));

export function only(unit: Unit, key: string): string {
  const values = unit.get(key) ?? [];
  if (values.length !== 1) throw new Error(`${key} is there ${values.length} times`);
  return values[0] ?? '';
}
