import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenCounter } from '../../llm/index.ts';
import type { ChunkingStrategy } from '../../store/index.ts';
import type { ParsedChunk, TextSplitter } from '../ports.ts';
import { locatePieces } from './piece-location.ts';
import { chunkingSignature, createChunkers } from './strategies.ts';

const tokens = createTokenCounter();
const staticOf = (maxChunkSizeTokens: number, chunkOverlapTokens: number): ChunkingStrategy => ({
  type: 'static',
  maxChunkSizeTokens,
  chunkOverlapTokens,
});
const LANGCHAIN: ChunkingStrategy = { type: 'langchain', module: 'm', className: 'Any', options: {} };

/** Cuts after so many units, repeats some and trims, as splitters do. */
const cutterOf = (size: number, overlap: number): TextSplitter => ({
  name: 'Cutter',
  overlap,
  async splitText(text) {
    const pieces: string[] = [];
    for (let start = 0; start < text.length; start += size - overlap) pieces.push(text.slice(start, start + size));
    return pieces.map((piece) => piece.trim()).filter((piece) => piece !== '');
  },
});
const chunkersWith = (splitter: TextSplitter) =>
  createChunkers({ tokens, targetTokens: 400, maxTokens: 512, loadSplitter: async () => splitter });
const chunkBy = async (strategy: ChunkingStrategy, text: string, splitter = cutterOf(300, 60)) =>
  (await chunkersWith(splitter)(strategy))({ title: 'T', text, layout: 'markdown' });

function expectSound(text: string, chunks: readonly ParsedChunk[], maxTokens: number): void {
  let end = 0;
  let start = -1;
  for (const [position, chunk] of chunks.entries()) {
    expect(chunk.position).toBe(position);
    expect(chunk.text).toBe(text.slice(chunk.start, chunk.end));
    expect(chunk.text.trim()).not.toBe('');
    expect(chunk.start).toBeGreaterThanOrEqual(start);
    if (chunk.start > end) expect(text.slice(end, chunk.start).trim()).toBe('');
    expect(tokens.count(chunk.text)).toBeLessThanOrEqual(maxTokens);
    start = chunk.start;
    end = Math.max(end, chunk.end);
  }
  expect(text.slice(end).trim()).toBe('');
}

const line = fc.oneof(
  fc.lorem({ maxCount: 60 }),
  fc.lorem({ mode: 'sentences', maxCount: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(
    '',
    '',
    '# One',
    '## Two',
    '```',
    '- item',
    '| a | b |',
    '|---|---|',
    'x'.repeat(3_000),
    '語'.repeat(900),
  ),
);
const document = fc.array(line, { maxLength: 30 }).map((lines) =>
  lines
    .join('\n')
    .replace(/\p{Surrogate}/gu, '')
    .trim(),
);

describe('chunking strategies', () => {
  it('static keeps offsets exact, covers everything and stays within its size', async () => {
    await fc.assert(
      fc.asyncProperty(
        document,
        fc.constantFrom([100, 0], [100, 50], [256, 64], [800, 400]),
        async (text, [size, overlap]) => {
          expectSound(text, await chunkBy(staticOf(size ?? 0, overlap ?? 0), text), size ?? 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('static repeats about what it is told to, and nothing when told not to', async () => {
    const text = Array.from({ length: 400 }, (_, n) => `Sentence ${n} says what people at the office do.`).join(' ');
    const repeated = (chunks: readonly ParsedChunk[]): number[] =>
      chunks
        .slice(1)
        .map((chunk, n) => tokens.count(text.slice(chunk.start, Math.max(chunk.start, chunks[n]?.end ?? 0))));
    const overlapping = await chunkBy(staticOf(400, 200), text);
    for (const count of repeated(overlapping)) {
      expect(count).toBeGreaterThan(120);
      expect(count).toBeLessThanOrEqual(200);
    }
    expect(repeated(await chunkBy(staticOf(400, 0), text)).every((count) => count === 0)).toBe(true);
    for (const chunk of overlapping) expect(chunk.text).toMatch(/^Sentence .*do\.$/s);
  });

  it('static names the headings above each chunk', async () => {
    const section = (name: string): string => `## ${name}\n\n${'Some words on it. '.repeat(60).trim()}`;
    const chunks = await chunkBy(staticOf(200, 40), `${section('Pay')}\n\n${section('Leave')}`);
    expect(new Set(chunks.map(({ headingPath }) => headingPath.join()))).toEqual(new Set(['Pay', 'Leave']));
  });

  it('takes one endless line in time that grows with its length', async () => {
    const text = 'lorem ipsum dolor '.repeat(20_000).trim();
    expectSound(text, await chunkBy(staticOf(800, 400), text), 800);
    expectSound(text, await chunkBy(LANGCHAIN, text, cutterOf(60_000, 100)), 4_096);
  }, 30_000);

  it('finds the pieces of a splitter again, whatever it repeats and trims', async () => {
    await fc.assert(
      fc.asyncProperty(document, fc.integer({ min: 20, max: 400 }), async (text, size) => {
        const sound = text.replace(/[\uD800-\uDFFF]/g, '');
        expectSound(sound, await chunkBy(LANGCHAIN, sound, cutterOf(size, Math.floor(size / 3))), 4_096);
      }),
      { numRuns: 60 },
    );
  });

  it('finds pieces whose white space was changed, and adds what a splitter leaves out', async () => {
    const text = 'One  two\nthree.\n\nFour five six. Seven eight nine.';
    expect(locatePieces(text, ['One two three.', 'Seven eight'], 0)).toEqual([
      { start: 0, end: 15 },
      { start: 32, end: 43 },
    ]);
    const lossy: TextSplitter = { name: 'Lossy', overlap: 0, splitText: async () => ['One two three.', 'Seven eight'] };
    expect((await chunkBy(LANGCHAIN, text, lossy)).map((chunk) => chunk.text)).toEqual([
      'One  two\nthree.',
      'Four five six.',
      'Seven eight',
      'nine.',
    ]);
  });

  it('refuses a splitter that rewrites the text, and passes on why one fails', async () => {
    const rewriting: TextSplitter = { name: 'Shout', overlap: 0, splitText: async (text) => [text.toUpperCase()] };
    await expect(chunkBy(LANGCHAIN, 'some words', rewriting)).rejects.toMatchObject({ code: 'chunking_failed' });
    const failing: TextSplitter = {
      name: 'Bad',
      overlap: 0,
      splitText: async () => {
        throw new Error('no such language');
      },
    };
    await expect(chunkBy(LANGCHAIN, 'some words', failing)).rejects.toMatchObject({
      code: 'chunking_failed',
      message: expect.stringContaining('no such language'),
    });
  });

  it('has a stable signature for each strategy', () => {
    expect(chunkingSignature({ type: 'auto' })).toBe('auto@2');
    expect(chunkingSignature(staticOf(800, 400))).toBe('static-800-400@1');
    const signature = (options: Readonly<Record<string, number>>) =>
      chunkingSignature({ ...LANGCHAIN, options } as ChunkingStrategy);
    expect(signature({ chunkSize: 1, chunkOverlap: 0 })).toMatch(/^langchain-Any-[0-9a-f]{8}@1$/);
    expect(signature({ chunkSize: 1, chunkOverlap: 0 })).toBe(signature({ chunkOverlap: 0, chunkSize: 1 }));
    expect(signature({ chunkSize: 1 })).not.toBe(signature({ chunkSize: 2 }));
  });
});
