/**
 * The three functions of the metadata proposal that @peculiar/x509's container (tsyringe) looks for on `Reflect`
 * before it agrees to load. It asks for nothing else, so that a polyfill of its own is not worth a dependency.
 */
type MetadataKey = string | symbol;

interface MetadataReflection {
  defineMetadata?: (key: MetadataKey, value: unknown, target: object) => void;
  getOwnMetadata?: (key: MetadataKey, target: object) => unknown;
  getMetadata?: (key: MetadataKey, target: object) => unknown;
}

/** Adds what is missing; a real polyfill, where one is loaded, stays in charge. */
export function provideReflection(): void {
  const reflect = Reflect as object as MetadataReflection; // the standard's type does not know them
  if (reflect.getMetadata !== undefined) return;
  const store = new WeakMap<object, Map<MetadataKey, unknown>>();
  reflect.defineMetadata = (key, value, target) => {
    const values = store.get(target) ?? new Map<MetadataKey, unknown>();
    store.set(target, values.set(key, value));
  };
  reflect.getOwnMetadata = (key, target) => store.get(target)?.get(key);
  reflect.getMetadata = (key, target) => {
    for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
      const values = store.get(at);
      if (values?.has(key)) return values.get(key);
    }
    return undefined;
  };
}
