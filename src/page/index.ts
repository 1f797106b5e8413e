export { BASE_STYLE } from './style.ts';
export { causeOf, electionWords, humanMs, visibleText } from './words.ts';
