import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDocumentParser, type DocumentParser } from '../../training/index.ts';
import { loadTextSplitter, requireTextSplitter, TEXT_SPLITTER_MODULE } from './index.ts';

const MODULE = '@langchain/textsplitters';
const strategyOf = (
  className: string,
  options: Readonly<Record<string, string | number | boolean>> = {},
  module = MODULE,
) => ({ type: 'langchain', module, className, options }) as const;
const TEXT = Array.from(
  { length: 60 },
  (_, n) => `## Part ${n}\n\nWhat part ${n} says, at some length, about holidays.`,
).join('\n\n');

describe('text splitters of LangChain', () => {
  it.each(['RecursiveCharacterTextSplitter', 'MarkdownTextSplitter', 'CharacterTextSplitter', 'LatexTextSplitter'])(
    '%s is loaded by its name',
    async (name) => {
      const splitter = await loadTextSplitter(strategyOf(name, { chunkSize: 200, chunkOverlap: 40 }), [MODULE]);
      expect(splitter).toMatchObject({ name, overlap: 40 });
      expect((await splitter.splitText(TEXT)).length).toBeGreaterThan(5);
    },
  );

  it.each([
    ['a package that is not allowed', strategyOf('MarkdownTextSplitter', {}, 'node:fs'), 'may not be loaded'],
    ['a package that is not installed', strategyOf('MarkdownTextSplitter', {}, '@langchain/none'), 'npm install'],
    ['an unknown class', strategyOf('NoSplitter'), 'no text splitter named'],
    ['the abstract base', strategyOf('TextSplitter'), 'no text splitter named'],
    ['a member of every object', strategyOf('constructor'), 'no text splitter named'],
    ['a splitter that downloads', strategyOf('TokenTextSplitter'), 'static'],
    ['impossible options', strategyOf('MarkdownTextSplitter', { chunkSize: 10, chunkOverlap: 20 }), 'chunkOverlap'],
  ])('refuses %s', async (_, strategy, words) => {
    await expect(loadTextSplitter(strategy, [MODULE, '@langchain/none'])).rejects.toMatchObject({
      code: 'chunking_failed',
      message: expect.stringContaining(words),
    });
  });

  it('can be asked for without being made', async () => {
    await requireTextSplitter({ module: MODULE, className: 'MarkdownTextSplitter' });
    for (const [module, className] of [
      [MODULE, 'NoSplitter'],
      [MODULE, 'constructor'],
      ['@langchain/none', 'X'],
    ] as const) {
      await expect(requireTextSplitter({ module, className })).rejects.toMatchObject({ code: 'chunking_failed' });
    }
  });

  describe('in the parse worker', () => {
    let folder: string;
    let parser: DocumentParser;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'splitters-'));
      parser = createDocumentParser({ splitters: { module: TEXT_SPLITTER_MODULE, allowed: [MODULE] } });
    });
    afterAll(async () => {
      await parser.stop();
      await rm(folder, { recursive: true });
    });

    it('cuts with exact offsets', async () => {
      const path = join(folder, 'a.md');
      await writeFile(path, TEXT);
      const chunking = strategyOf('MarkdownTextSplitter', { chunkSize: 300, chunkOverlap: 60 });
      const input = { path, name: 'a.md', mediaType: '', fallbackTitle: 'A', from: null };
      const [document] = (await parser.parse({ ...input, chunking })).documents;
      expect(document?.chunks.length).toBeGreaterThan(10);
      for (const chunk of document?.chunks ?? []) expect(document?.text.slice(chunk.start, chunk.end)).toBe(chunk.text);
      expect(document?.chunks[3]?.headingPath[0]).toMatch(/^Part \d+$/);
      const unknown = { ...input, chunking: strategyOf('NoSplitter') };
      await expect(parser.parse(unknown)).rejects.toMatchObject({ code: 'chunking_failed' });
    }, 30_000);
  });
});
