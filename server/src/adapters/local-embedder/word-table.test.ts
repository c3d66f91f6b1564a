import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadWordTable, type WordTable } from './word-table.ts';

const manifest = new URL('./assets/static-en.json', import.meta.url);

describe('word table', () => {
  let table: WordTable;
  beforeAll(async () => {
    table = await loadWordTable(manifest);
  });

  it('knows the words of its manifest', () => {
    expect(table).toMatchObject({ words: 40_000, dimensions: 256, teacherDimensions: 512 });
    expect(['the', 'password', 'webhook', 'javascript'].map(table.has)).toEqual([true, true, true, true]);
    expect(table.has('flurbolator')).toBe(false);
  });

  it('adds words weighted by their rarity, and nothing for other words', () => {
    const lengthOf = (word: string): number => {
      const sum = new Float64Array(table.dimensions);
      expect(table.addTo(sum, word)).toBe(true);
      return Math.hypot(...sum);
    };
    expect(lengthOf('the')).toBeLessThan(lengthOf('password') / 10);
    const untouched = new Float64Array(table.dimensions);
    expect(table.addTo(untouched, 'flurbolator')).toBe(false);
    expect(untouched).toEqual(new Float64Array(table.dimensions));
  });

  describe('damaged', () => {
    let folder = '';
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'word-table-'));
    });
    afterAll(() => rm(folder, { recursive: true }));

    it.each(['altered', 'cut short', 'missing'])('%s', async (fault) => {
      const bytes = await readFile(new URL('./assets/static-en.bin', import.meta.url));
      if (fault === 'altered') bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      await writeFile(join(folder, 'static-en.json'), await readFile(manifest));
      if (fault !== 'missing')
        await writeFile(join(folder, 'static-en.bin'), bytes.subarray(0, fault === 'altered' ? undefined : 5_000));
      const loading = loadWordTable(pathToFileURL(join(folder, 'static-en.json')));
      await expect(loading).rejects.toMatchObject({ code: 'configuration_invalid' });
      await rm(join(folder, 'static-en.bin'), { force: true });
    });
  });
});
