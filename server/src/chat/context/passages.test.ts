import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SearchHit } from '../ports.ts';
import { cutPassages } from './passages.ts';
import { textPieces } from './text-pieces.ts';

const hitOf = (text: string, { score = 0.5, start = 0, documentId = 'doc_1' } = {}): SearchHit => ({
  chunk: {
    id: `chk_${documentId}_${start}`,
    tenantId: 'tnt_1',
    botId: 'bot_1',
    sourceId: 'src_1',
    documentId,
    position: 0,
    start,
    end: start + text.length,
    text,
    headingPath: [],
    page: null,
    tokens: 1,
    hash: `${documentId}${start}`,
    documentTitle: 'T',
    documentUrl: null,
    externalKey: null,
  },
  score,
  scores: { dense: null, lexical: null },
});
const filler = (n: number): string =>
  `Line ${n} is about something that has no bearing on what was asked at all, however long. `;
const around = (sentence: string): string =>
  `${Array.from({ length: 12 }, (_, n) => filler(n)).join('')}${sentence} ${Array.from({ length: 12 }, (_, n) => filler(n + 20)).join('')}`.trim();

describe('passages', () => {
  it('are cut round what answers, within the budget, exact parts of the document', () => {
    const answer = 'The parental leave of adoptive parents lasts for eighteen weeks in every country we work in.';
    const text = around(answer);
    const hits = [
      hitOf(around('Dogs may come along.'), { score: 0.6 }),
      hitOf(text, { documentId: 'doc_2', start: 70 }),
    ];
    const passages = cutPassages(hits, {
      query: 'How long is parental leave for adoptive parents?',
      maxCharacters: 600,
      maxPassages: 5,
    });
    expect(passages[0]?.chunk.text).toContain(answer);
    expect(passages[0]?.chunk).toMatchObject({ documentId: 'doc_2', id: 'chk_doc_2_70' });
    expect(passages.reduce((sum, { chunk }) => sum + chunk.text.length, 0)).toBeLessThanOrEqual(600);
    for (const { chunk } of passages) {
      const whole = hits.find((hit) => hit.chunk.documentId === chunk.documentId)?.chunk;
      expect(whole?.text.slice(chunk.start - whole.start, chunk.end - whole.start)).toBe(chunk.text);
    }
  });

  it('hold whole chunks when the budget allows, and no more passages than asked for', () => {
    const hits = Array.from({ length: 6 }, (_, n) => hitOf(around(`Answer ${n}.`), { start: n * 9_000 }));
    const all = cutPassages(hits, { query: 'answer', maxCharacters: 100_000, maxPassages: 50 });
    expect(new Set(all.map(({ chunk }) => chunk.text))).toEqual(new Set(hits.map(({ chunk }) => chunk.text)));
    expect(cutPassages(hits, { query: 'answer', maxCharacters: 100_000, maxPassages: 2 })).toHaveLength(2);
  });

  it('keep a table whole', () => {
    const table = `| Plan | Price |\n| --- | --- |\n${Array.from({ length: 20 }, (_, n) => `| Plan ${n}. Yes | costs ${n} |`).join('\n')}`;
    const [first] = cutPassages([hitOf(`${around('Prices.')}\n\n${table}`)], {
      query: 'price of plan 7',
      maxCharacters: 1_200,
      maxPassages: 3,
    });
    expect(first?.chunk.text).toContain(table);
  });

  it('hold nothing twice when chunks overlap', () => {
    const text = around('Adoptive parents have eighteen weeks of leave.');
    const hits = [
      hitOf(text.slice(0, 1_400), { score: 0.9 }),
      hitOf(text.slice(700), { start: 700, score: 0.8 }),
      hitOf(text.slice(300, 1_200), { start: 300, score: 0.7 }),
    ];
    const passages = cutPassages(hits, { query: 'leave of adoptive parents', maxCharacters: 10_000, maxPassages: 9 });
    const ranges = passages.map(({ chunk }) => chunk).sort((one, other) => one.start - other.start);
    for (const [place, { start }] of ranges.entries())
      expect(start).toBeGreaterThanOrEqual((ranges[place - 1]?.end ?? 0) - 100);
    expect(ranges.reduce((sum, chunk) => sum + chunk.text.length, 0)).toBeLessThanOrEqual(text.length + 200);
    expect(ranges[0]?.start).toBe(0);
    expect(ranges.at(-1)?.end).toBe(text.length);
  });

  it('begin with what fits when nothing does', () => {
    const [only] = cutPassages([hitOf('word '.repeat(80).trim())], {
      query: 'word',
      maxCharacters: 200,
      maxPassages: 3,
    });
    expect(only?.chunk.text).toBe('word '.repeat(40).trim());
    expect(cutPassages([], { query: 'word', maxCharacters: 200, maxPassages: 3 })).toEqual([]);
  });

  it('hold to their bounds for any text and query', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 900 }),
      fc.lorem({ mode: 'sentences', maxCount: 20 }),
    );
    const query = fc.oneof(fc.string(), fc.lorem());
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 8 }),
        query,
        fc.integer({ min: 200, max: 5_000 }),
        (texts, asked, maxCharacters) => {
          const hits = texts.map((own, n) => hitOf(own, { start: n * 1_000, score: n / 8 }));
          const passages = cutPassages(hits, { query: asked, maxCharacters, maxPassages: 4 });
          expect(passages.length).toBeLessThanOrEqual(4);
          expect(passages.reduce((sum, { chunk }) => sum + chunk.text.length, 0)).toBeLessThanOrEqual(maxCharacters);
          for (const { chunk } of passages) {
            const whole = hits[Math.floor(chunk.start / 1_000)]?.chunk;
            expect(whole?.text.slice(chunk.start - whole.start, chunk.end - whole.start)).toBe(chunk.text);
          }
        },
      ),
    );
  });

  it('are made of pieces that cover a text, also one endless line', () => {
    const endless = 'x'.repeat(200_000);
    for (const text of [around('One.'), endless, `a b ${endless}`, '語'.repeat(50_000)]) {
      const pieces = textPieces(text);
      expect(pieces.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
      expect(Math.max(...pieces.map(({ start, end }) => end - start))).toBeLessThanOrEqual(500);
    }
  });
});
