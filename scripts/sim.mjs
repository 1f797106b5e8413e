#!/usr/bin/env node
/**
 * `npm run sim -- [options]`: bundles the simulator and runs it (test/simulation/main.ts has the options).
 *
 * Two things are made of the sources on the way, for the simulator alone: a comment `// mark: NAME` becomes a call that says
 * that this line was reached, and `--without RULE` changes the texts that switches.mjs names for the rule.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { SWITCHES } from '../test/simulation/switches.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MARK = /^( *)\/\/ mark: ([a-z0-9-]+)$/gm;
const MODEL_MARK = /marks\.add\('([a-z0-9-]+)'\)/g;

/** @returns {import('esbuild').Plugin} */
function asSimulated(rule, marks) {
  const edits = rule === null ? [] : SWITCHES[rule].edits;
  const done = new Set();
  return {
    name: 'as-simulated',
    setup: ({ onLoad, onEnd }) => {
      onLoad({ filter: /\/(src|test\/simulation)\/.*\.ts$/ }, ({ path }) => {
        let text = readFileSync(path, 'utf8');
        const file = relative(ROOT, path);
        for (const edit of edits) {
          if (edit.file !== file) continue;
          const places = text.split(edit.find).length - 1;
          if (places !== 1)
            return {
              errors: [
                { text: `switch ${rule}: its text is found ${places} times in ${file}: change the switch` },
              ],
            };
          text = text.replace(edit.find, () => edit.replace);
          done.add(edit);
        }
        for (const [, name] of text.matchAll(MODEL_MARK)) marks.add(name);
        text = text.replace(MARK, (_, indent, name) => {
          marks.add(name);
          return `${indent}globalThis.quorateMark('${name}');`;
        });
        return { contents: text, loader: 'ts' };
      });
      onEnd(() => {
        const missed = edits.find((edit) => !done.has(edit));
        return missed === undefined
          ? {}
          : { errors: [{ text: `switch ${rule}: ${missed.file} is not simulated` }] };
      });
    },
  };
}

/** Bundles the simulator, with a rule switched off or whole; resolves with its path. */
async function bundle(rule, entry = 'test/simulation/main.ts') {
  const marks = new Set();
  const directory = resolve(ROOT, 'dist/simulation');
  mkdirSync(directory, { recursive: true });
  const path = resolve(directory, `${rule ?? basename(dirname(entry))}-${process.pid}.mjs`);
  const result = await build({
    entryPoints: [resolve(ROOT, entry)],
    absWorkingDir: ROOT,
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    external: ['classic-level', '@aws-sdk/*', '@grpc/*'],
    sourcemap: 'inline',
    logLevel: 'error',
    plugins: [asSimulated(rule, marks)],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  const [output] = result.outputFiles;
  return { path, text: output.text, marks: [...marks].sort() };
}

/** Writes the bundle, runs it, removes it; resolves with its exit code and, where asked for, its stdout. */
async function runBundle({ path, text, marks }, words, capture = false) {
  writeFileSync(path, `globalThis.quorateMarks = ${JSON.stringify(marks)}; ${text}`);
  try {
    const child = spawn(process.execPath, ['--enable-source-maps', path, ...words], {
      stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
    });
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk;
    });
    // A Ctrl-C goes to the child too, in its group; what it has printed by then is still ours to remove.
    const wait = () => undefined;
    process.on('SIGINT', wait);
    const code = await new Promise((done) => child.on('close', done));
    process.off('SIGINT', wait);
    return { code: code ?? 1, stdout };
  } finally {
    rmSync(path, { force: true });
  }
}

const SWITCH_SEEDS = 2_000;
const SWITCH_TRIES = 5;

/** Every rule, or those named, switched off, one at a time, from several first seeds: how many seeds until it is caught. */
async function runSwitches(json, named) {
  const rows = [];
  for (const [rule, { off, fires, harms }] of Object.entries(SWITCHES)) {
    if (named.length > 0 && !named.includes(rule)) continue;
    const bundled = await bundle(rule);
    const tries = [];
    for (let start = 0; start < SWITCH_TRIES; start += 1) {
      const words = [
        '--first',
        String(1 + start * SWITCH_SEEDS),
        '--seeds',
        String(SWITCH_SEEDS),
        '--stop-first',
        '--json',
      ];
      const { stdout } = await runBundle(bundled, words, true);
      const [violation] = JSON.parse(stdout).violations;
      if (violation === undefined) tries.push(null);
      else tries.push({ seeds: violation.seed - start * SWITCH_SEEDS, rule: violation.rule });
    }
    const caught = tries.filter((attempt) => attempt !== null);
    const isCaught =
      caught.length === tries.length && caught.every((attempt) => fires.includes(attempt.rule));
    const mean = caught.reduce((sum, { seeds }) => sum + seeds, 0) / Math.max(1, caught.length);
    const most = Math.max(0, ...caught.map(({ seeds }) => seeds));
    const by = [...new Set(caught.map((attempt) => attempt.rule))];
    rows.push({ rule, off, harms, isCaught, mean, most, by });
    process.stderr.write(
      `${isCaught ? 'caught' : 'MISSED'}  ${rule.padEnd(3)} mean ${mean.toFixed(1)}, most ${most}, by ${by.join(', ')}\n`,
    );
  }
  if (json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else {
    process.stdout.write(
      '| rule | switched off | harms | caught by | mean seeds | most |\n|---|---|---|---|---|---|\n',
    );
    for (const { rule, off, harms, by, mean, most } of rows)
      process.stdout.write(
        `| ${rule} | ${off} | ${harms} | ${by.join(', ')} | ${mean.toFixed(1)} | ${most} |\n`,
      );
  }
  return rows.every(({ isCaught }) => isCaught) ? 0 : 1;
}

async function main(words) {
  if (words.includes('--switches'))
    return runSwitches(
      words.includes('--json'),
      words.filter((word) => !word.startsWith('--')),
    );
  // Of two pools, without a cluster.
  if (words.includes('--histories'))
    return (await runBundle(await bundle(null, 'test/replication/histories-main.ts'), words)).code;
  const at = words.indexOf('--without');
  const rule = at < 0 ? null : (words[at + 1] ?? '');
  if (rule !== null && !(rule in SWITCHES)) {
    process.stderr.write(
      `sim: --without: no switch "${rule}"; there are ${Object.keys(SWITCHES).join(' ')}\n`,
    );
    return 2;
  }
  const others = at < 0 ? words : words.toSpliced(at, 2);
  return (await runBundle(await bundle(rule), others)).code;
}

process.exitCode = await main(process.argv.slice(2));
