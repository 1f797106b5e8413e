const WIDTH = 100;

/**
 * Drawn, not styled: the policy allows no style of an element's own. Without a value it is one that is not determined.
 *
 * @param percent 0 to 100; null: not known
 */
export function Bar({ label, percent, words }: { label: string; percent: number | null; words: string }) {
  const value = percent === null ? {} : { 'aria-valuenow': Math.floor(percent) };
  return (
    <svg
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...value}
      aria-valuetext={words}
      viewBox={`0 0 ${WIDTH} 4`}
      preserveAspectRatio="none"
    >
      <rect class="track" x={0} y={0} width={WIDTH} height={4} />
      {percent === null ? null : <rect class="done" x={0} y={0} width={percent} height={4} />}
    </svg>
  );
}
