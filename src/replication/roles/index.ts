export type { Tail } from './aside.ts';
export { setAside } from './set-aside.ts';
export { tailsOf } from './tails.ts';
