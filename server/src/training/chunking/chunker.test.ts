import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenCounter } from '../../llm/index.ts';
import type { LoadedText } from '../loaders/loaded-text.ts';
import { loadQuestions } from '../loaders/qa-loader.ts';
import { cleanText } from '../loaders/text-cleaning.ts';
import { createChunker } from './chunker.ts';

const tokens = createTokenCounter();
const chunk = createChunker({ tokens, targetTokens: 400, maxTokens: 512 });
const words = (count: number, word = 'word'): string =>
  Array.from({ length: count }, (_, n) => `${word}${n % 7}`).join(' ');
const prose = (sentences: number): string =>
  Array.from({ length: sentences }, (_, n) => `Sentence number ${n} says something about the office.`).join(' ');
const chunkMarkdown = (text: string, title = 'A page') => chunk({ title, text, layout: 'markdown' });

function expectSound(
  content: LoadedText & { title: string },
  { maxTokens, make }: { maxTokens: number; make: typeof chunk },
): void {
  const chunks = make(content);
  let position = 0;
  let end = 0;
  for (const piece of chunks) {
    expect(piece.position).toBe(position);
    expect(piece.text).toBe(content.text.slice(piece.start, piece.end));
    expect(piece.start).toBeGreaterThanOrEqual(end);
    expect(content.text.slice(end, piece.start).trim()).toBe('');
    expect(piece.text.trim()).not.toBe('');
    expect(piece.text).not.toMatch(/\p{Surrogate}/u);
    expect(tokens.count(piece.text)).toBeLessThanOrEqual(maxTokens);
    expect(Math.abs(piece.tokens - tokens.count(piece.text))).toBeLessThanOrEqual(2 + piece.tokens * 0.1);
    position += 1;
    end = piece.end;
  }
  expect(content.text.slice(end).trim()).toBe('');
  expect(make(content)).toEqual(chunks);
}

describe('chunker', () => {
  const line = fc.oneof(
    fc.lorem({ maxCount: 60 }),
    fc.lorem({ mode: 'sentences', maxCount: 12 }),
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(
      '',
      '',
      '# One',
      '## Two',
      '### Three',
      '---',
      '===',
      '```',
      '~~~js',
      '- item',
      '1. first',
      '  nested',
      '| a | b |',
    ),
    fc.constantFrom(
      '|---|---|',
      '> quote',
      '👩‍👩‍👧‍👦'.repeat(200),
      'x'.repeat(5_000),
      '語'.repeat(1_500),
      'Intro:',
      '\t- deep',
    ),
  );
  const document = fc.array(line, { maxLength: 30 }).map((lines) => lines.join('\n').replace(/\p{Surrogate}/gu, ''));

  it.each(['markdown', 'plain'] as const)(
    'keeps offsets exact, covers everything and stays within its size (%s)',
    (layout) => {
      fc.assert(
        fc.property(document, fc.constantFrom(40, 120, 400), (text, targetTokens) => {
          const maxTokens = Math.ceil(targetTokens * 1.28);
          const make = createChunker({ tokens, targetTokens, maxTokens });
          expectSound({ title: 'T', text, layout }, { maxTokens, make });
        }),
        { numRuns: 60 },
      );
    },
  );

  it('keeps sections apart and names the headings above each', () => {
    const chunks = chunkMarkdown(
      `# A page\n\nIntro ${words(150)}\n\n## Pay\n\n${words(200)}\n\n### Dates\n\n${words(180)}\n\n## Leave\n\n${words(200)}`,
    );
    expect(chunks.map((piece) => piece.headingPath)).toEqual([[], ['Pay'], ['Pay', 'Dates'], ['Leave']]);
    expect(chunks[3]?.text.startsWith('## Leave')).toBe(true);
  });

  it('joins tiny neighbours under the same parent, and only those', () => {
    const section = (name: string, count = 20): string =>
      `## ${name}\n\n### ${name} one\n\n${words(count)}\n\n### ${name} two\n\n${words(count)}`;
    const [first, second, ...rest] = chunkMarkdown(`${section('Alpha', 60)}\n\n${section('Beta', 60)}`);
    expect(rest).toEqual([]);
    expect([first?.headingPath, second?.headingPath]).toEqual([['Alpha'], ['Beta']]);
    const together = chunkMarkdown(`## Alpha\n\n${words(20)}\n\n## Beta\n\n${words(20)}`);
    expect(together.map((piece) => piece.headingPath)).toEqual([[]]);
  });

  it('leaves no heading alone', () => {
    const chunks = chunkMarkdown(`## Guide\n\n### Setup\n\n${prose(120)}`);
    expect(chunks[0]?.text).toMatch(/^## Guide\n\n### Setup\n\nSentence/);
    expect(chunks.length).toBeGreaterThan(2);
  });

  it('cuts prose between sentences, into even parts', () => {
    const chunks = chunkMarkdown(prose(110));
    for (const piece of chunks) expect(piece.text).toMatch(/^Sentence number .*office\.$/s);
    expect(Math.min(...chunks.map((piece) => piece.tokens))).toBeGreaterThan(250);
  });

  it('keeps a list with its introduction, and cuts a long one between items', () => {
    const items = Array.from({ length: 90 }, (_, n) => `- item ${n} with a few more words\n  and a second line`).join(
      '\n',
    );
    const chunks = chunkMarkdown(`Bring these:\n\n${items}`);
    expect(chunks[0]?.text.startsWith('Bring these:\n\n- item 0')).toBe(true);
    for (const piece of chunks) expect(piece.text.endsWith('and a second line')).toBe(true);
  });

  it('keeps code and tables whole when they fit, headings in code are none', () => {
    const code = `\`\`\`sh\n# not a heading\n\nnpm start\n\`\`\``;
    const table = `| Plan | Price |\n| --- | --- |\n${Array.from({ length: 20 }, (_, n) => `| Plan ${n} | ${n} |`).join('\n')}`;
    const chunks = chunkMarkdown(`${prose(30)}\n\n${code}\n\n${prose(20)}\n\n${table}`);
    expect(chunks.filter((piece) => piece.text.includes(code))).toHaveLength(1);
    expect(chunks.filter((piece) => piece.text.includes(table))).toHaveLength(1);
  });

  it('cuts a long table by rows and names its header above later ones', () => {
    const rows = Array.from({ length: 100 }, (_, n) => `| Person ${n} | +1 555 01${n} |`).join('\n');
    const [first, second] = chunkMarkdown(`## Phones\n\n| Name | Number |\n| --- | --- |\n${rows}`);
    expect(first?.headingPath).toEqual(['Phones']);
    expect(second?.headingPath).toEqual(['Phones', 'Name | Number']);
    expect(second?.text).toMatch(/^\| Person/);
  });

  it('makes one chunk of each question with its answer', () => {
    const loaded = loadQuestions(
      JSON.stringify([
        { question: 'When do you\nopen?', answer: 'At nine.\n\n# Not a section' },
        { question: 'Where?', answer: prose(80) },
      ]),
    );
    const chunks = chunk({ ...loaded, title: 'FAQ' });
    expect(chunks[0]?.text).toBe('## When do you open?\n\nAt nine.\n\n# Not a section');
    expect(chunks[0]?.headingPath).toEqual(['When do you open?']);
    expect(chunks.slice(1).every((piece) => piece.headingPath[0] === 'Where?')).toBe(true);
    expect(chunks.length).toBeGreaterThan(2);
  });

  it('hashes what is embedded: title, heading path and text', () => {
    const [one] = chunkMarkdown('## A\n\nSame words', 'T');
    const [again] = chunkMarkdown('## A\n\nSame words', 'T');
    const [other] = chunkMarkdown('## A\n\nSame words', 'U');
    expect(one?.hash).toBe(again?.hash);
    expect(one?.hash).not.toBe(other?.hash);
  });

  it('takes one endless line without a full stop', () => {
    const text = cleanText('lorem ipsum dolor '.repeat(60_000));
    const chunks = chunkMarkdown(text);
    expect(chunks.length).toBeGreaterThan(400);
    expect(Math.max(...chunks.map((piece) => piece.tokens))).toBeLessThanOrEqual(512);
  });
});
