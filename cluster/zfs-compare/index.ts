export { type CompareOptions, type Comparison, compare, type Difference } from './compare.ts';
export { GET_COLUMNS, type Listing } from './listing.ts';
export { type ShellOptions, ShellSubject } from './shell.ts';
export { type Cut, type PoolNames, PROPERTIES, type Side, type Step, type Work } from './step.ts';
export type { Answer, Ran, Subject } from './subject.ts';
export { inLines } from './told.ts';
