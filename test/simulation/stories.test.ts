/** Every story of `stories/` ends as it is written there. UPDATE_STORIES=1 writes down what happens now; read it before you keep it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseStory, printStory, Story } from './story.ts';

const directory = fileURLToPath(new URL('stories/', import.meta.url));
const isUpdating = process.env.UPDATE_STORIES === '1';

describe('stories', () => {
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.txt'))) {
    test(file.replace('.txt', '').replaceAll('-', ' '), { timeout: 60_000 }, async () => {
      const blocks = parseStory(readFileSync(directory + file, 'utf8'));
      const story = new Story();
      const told: string[][] = [];
      for (const block of blocks) {
        const says = await story.run(block);
        told.push(says);
        expect(
          says.find((line) => line.startsWith('VIOLATION') || line.startsWith('NOT WITHIN')),
        ).toBeUndefined();
        if (!isUpdating) expect(says, `${file}:${block.line}`).toEqual(block.expected);
      }
      if (isUpdating) writeFileSync(directory + file, printStory(blocks, told));
      expect(told.flat().length).toBeGreaterThan(0);
    });
  }
});
