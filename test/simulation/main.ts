import { runSeed } from './run.ts';

const first = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 1);
const profile = process.argv[4] ?? null;
const began = performance.now();
let simulated = 0;
for (let seed = first; seed < first + count; seed += 1) {
  const result = await runSeed({ seed, profile, isVerbose: process.env.V === '1' });
  simulated += result.simulatedMs / 1000;
  if (result.violation !== null || count === 1) {
    if (count === 1) console.log(result.story.join('\n'));
    console.log(
      seed,
      result.profile,
      result.violation,
      result.healedMs,
      result.acknowledged,
      result.tenures,
      result.hash,
      result.events,
    );
  }
}
const seconds = (performance.now() - began) / 1000;
console.log(
  `${count} seeds, ${simulated.toFixed(0)} simulated s in ${seconds.toFixed(1)} s: ${(simulated / seconds).toFixed(0)} a second`,
);
