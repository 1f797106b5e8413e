/** `quorate completion`: the script, tried in the shells themselves. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { EXIT } from '../../src/errors.ts';
import { captured } from './captured.ts';

const script = async (shell: string): Promise<string> =>
  (await captured(() => run(['completion', shell]))).out;
const inBash = (text: string, input: string): string =>
  execFileSync('bash', ['--noprofile', '--norc', '-c', `${text}\n${input}`], { encoding: 'utf8', cwd: '/' });

/** What bash would offer for the last word. */
async function offered(...words: string[]): Promise<string[]> {
  const all = ['quorate', ...words].map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${all}); COMP_CWORD=${words.length}; _quorate; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return inBash(await script('bash'), ask)
    .split('\n')
    .filter((line) => line !== '');
}

describe('in bash', () => {
  it('commands, by what was typed of them', async () => {
    expect(await offered('sta')).toEqual(['status', 'standby'].sort().reverse());
    expect(await offered('')).toEqual(
      expect.arrayContaining(['agent', 'pause', 'resume', 'completion', '--help']),
    );
  });

  it('the options of a command, and the commands of a group', async () => {
    expect(await offered('switchover', '--d')).toEqual(['--dry-run']);
    expect(await offered('pause', '--why', 'pki', '--j')).toEqual(['--json']);
    expect(await offered('pki', 'i')).toEqual(['init', 'issue']);
    expect(await offered('pki', 'issue', '--no')).toEqual(['--node']);
    expect(await offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh']));
  });

  it('files where an option takes one, and nothing where only the caller knows', async () => {
    expect(await offered('status', '--config', 'et')).toEqual(['etc']);
    expect(await offered('switchover', '--to', '')).toEqual([]);
  });
});

it.skipIf(!existsSync('/usr/bin/zsh') && !existsSync('/bin/zsh'))('zsh takes it', async () => {
  const out = execFileSync('zsh', ['-f', '-c', `${await script('zsh')}\nwhich _quorate | head -1`], {
    encoding: 'utf8',
  });
  expect(out).toContain('_quorate');
});

it('for zsh it is the same function, by way of its own emulation', async () => {
  expect(await script('zsh')).toMatch(/^#compdef quorate\n.*bashcompinit\n_quorate\(\) \{/s);
});

it('2: another shell is named with those that there are', async () => {
  const { code, err } = await captured(() => run(['completion', 'fish']));
  expect([code, err]).toEqual([EXIT.usage, expect.stringMatching(/bash, zsh/)]);
});
