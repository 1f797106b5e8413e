/**
 * Prints quorate.1. Everything about commands and options is the program's own help, so that the two cannot drift.
 *
 *   node dist/man-page.mjs [SECONDS]      SECONDS since 1970: the page's date; without it, none is shown
 */
import { wholeProgram } from '../../src/cli/program.ts';
import { manPage } from './page.ts';

const seconds = process.argv[2];
if (seconds !== undefined && !/^\d{1,11}$/.test(seconds)) {
  process.stderr.write(`man-page: "${seconds}" is not a number of seconds since 1970\n`);
  process.exit(2);
}
const date = seconds === undefined ? '' : new Date(Number(seconds) * 1000).toISOString().slice(0, 10);
process.stdout.write(manPage(await wholeProgram(), date));
