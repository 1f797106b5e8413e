/**
 * `zfs hold` and `zfs release` of several do each of them, and say a line for each that they did not do. What is said of one is not said
 * of the others: only where every line is understood is nothing unknown.
 */
export const saysOnly =
  (understood: RegExp) =>
  (stderr: string): boolean => {
    const lines = stderr.split('\n').filter((line) => line.trim() !== '');
    return lines.length > 0 && lines.every((line) => understood.test(line));
  };
