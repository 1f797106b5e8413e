import type { PageState } from '../state.ts';

const WORDS = { bad: 'Act', warning: 'Look', note: 'Note' } as const;

export function WarningList({ state }: { state: PageState }) {
  const { warnings, observer } = state;
  return (
    <section aria-labelledby="warnings">
      <h2 id="warnings">Warnings</h2>
      {warnings.length === 0 ? (
        <p>
          <span class="good">None</span>, as far as {observer} can see.
        </p>
      ) : (
        <ul class="warnings">
          {warnings.map(({ key, severity, text }) => (
            <li key={key} class={severity}>
              <strong>{WORDS[severity]}</strong>
              <span>{text}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
