/** What a page of the documentation says, taken apart: its code, the commands in it, its links. */
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { vi } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { ROOT, text } from '../deployments/support/files.ts';

export const blocksOf = (page: string): string[] =>
  [...text(page).matchAll(/^```\w*\n(.*?)^```/gms)].map(([, code = '']) => code);

export const inlineOf = (page: string): string[] => {
  const prose = text(page).replaceAll(/^```.*?^```/gms, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
};

/** Blocks and inline code, joined lines made one. */
export function codeOf(page: string): string[] {
  const blocks = blocksOf(page).flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'));
  return [...blocks, ...inlineOf(page)];
}

export interface Use {
  readonly command: string;
  readonly options: readonly string[];
}

export function usesOf(page: string): Use[] {
  const found = codeOf(page).flatMap((code) => [
    ...code.matchAll(
      /(?:^|[\s(])quorate ((?:(?:replication diverged|alerts|members|pki|replication|settings) )?[a-z][a-z-]*)([^|&;#]*)/g,
    ),
  ]);
  return found.map(([, command = '', rest = '']) => ({ command, options: rest.match(/--[a-z-]+/g) ?? [] }));
}

/** The uses that the command itself does not know, each with what is wrong with it. */
export async function wrongUsesOf(page: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const { command, options } of usesOf(page)) {
    const { code, help } = await helpOf(command);
    if (code !== 0 || !help.includes(`Usage: quorate ${command} `)) wrong.push(`no command ${command}`);
    wrong.push(
      ...options
        .filter((one) => !help.includes(`  ${one}`) && !help.includes(`, ${one} `))
        .map((one) => `${command} has no ${one}`),
    );
  }
  return wrong;
}

async function helpOf(command: string): Promise<{ code: number; help: string }> {
  let help = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    help += String(chunk);
    return true;
  });
  try {
    return { code: await run([...command.split(' '), '--help']), help };
  } finally {
    write.mockRestore();
  }
}

export const linksOf = (page: string): string[] =>
  [...text(page).matchAll(/\]\(([^)#]+)/g)].map(([, link = '']) => link);

/** Links to files that are not there. */
export const deadLinksOf = (page: string): string[] =>
  linksOf(page).filter(
    (link) => !/^https?:/.test(link) && !existsSync(join(ROOT, normalize(join(dirname(page), link)))),
  );

const withoutBlocks = (markdown: string): string => markdown.replaceAll(/^```.*?^```/gms, '');

/** Links inside the repository, with their anchors; not those in code. */
export const targetsOf = (page: string): string[] => {
  const prose = withoutBlocks(text(page)).replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^(https?|mailto):/.test(target));
};

/** The anchors of a page's headings, in GitHub's way: small letters, no punctuation, hyphens for spaces, numbers for repetitions. */
export function anchorsOf(markdown: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutBlocks(markdown).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim();
    const anchor = words
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  });
}
