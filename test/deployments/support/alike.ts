/**
 * Compares two bundles of one source, whose functions and classes are not the same objects: functions without arguments by what they
 * return (shapes name each other by such), classes by their names. Shapes name each other in circles: what is being compared is taken
 * for alike, which is right unless a difference shows elsewhere.
 */

/** The path of the first difference; null: none. */
export function whereTheyDiffer(left: unknown, right: unknown): string | null {
  return differAt('', left, right, new Map());
}

const isClass = (value: object): boolean =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

function differAt(path: string, left: unknown, right: unknown, seen: Map<object, object>): string | null {
  if (typeof left !== typeof right) return path;
  if (left === null || right === null || (typeof left !== 'object' && typeof left !== 'function'))
    return Object.is(left, right) ? null : path;
  const other = right as object;
  if (seen.has(left)) return seen.get(left) === other ? null : path;
  seen.set(left, other);
  if (typeof left === 'function') return functionsDiffer(path, left, other as typeof left, seen);
  if (Object.getPrototypeOf(left)?.constructor.name !== Object.getPrototypeOf(other)?.constructor.name)
    return path;
  const [own, its] = [partsOf(left), partsOf(other)];
  if (own.length !== its.length) return path;
  for (const [index, [key, value]] of own.entries()) {
    const [otherKey, otherValue] = its[index] ?? [];
    const found =
      differAt(`${path}/key ${index}`, key, otherKey, seen) ??
      differAt(`${path}/${String(key)}`, value, otherValue, seen);
    if (found !== null) return found;
  }
  return null;
}

type Callable = (...words: never[]) => unknown;

function functionsDiffer(path: string, left: object, right: object, seen: Map<object, object>) {
  const [own, its] = [left as Callable, right as Callable];
  if (isClass(own) || isClass(its))
    return isClass(own) === isClass(its) && own.name === its.name ? null : path;
  if (own.length > 0 || its.length > 0) return String(own) === String(its) ? null : path;
  return differAt(`${path}()`, own(), its(), seen);
}

/** In order: the order of a shape's members is part of it. */
function partsOf(value: object): [unknown, unknown][] {
  if (value instanceof Map) return [...value.entries()];
  return Reflect.ownKeys(value).map((key) => [key, (value as Record<PropertyKey, unknown>)[key]]);
}
