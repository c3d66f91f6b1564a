import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenCounter } from '../../llm/index.ts';
import type { FoundChunk } from '../../store/index.ts';
import type { SearchHit } from '../ports.ts';
import { documentsToJoin, hitAt, packContext } from './context-packing.ts';

const counter: TokenCounter = { count: (text) => text.split(/\s+/).filter((word) => word !== '').length };
const PLENTY = 10_000;

const guide = 'Alpha one. Alpha two.\n\nBeta one. Beta two.\n\nGamma one. Gamma two.';
const faq = 'Delta one. Delta two.';

function hit(
  document: string,
  text: string,
  overrides: Partial<FoundChunk> & { readonly score?: number } = {},
): SearchHit {
  const { score = 0.5, ...rest } = overrides;
  const start = document.indexOf(text);
  const documentId = document === guide ? 'doc_guide' : 'doc_faq';
  const chunk: FoundChunk = {
    id: `chk_${documentId}_${start}_${start + text.length}`,
    tenantId: 't',
    botId: 'b',
    sourceId: `src_${documentId}`,
    documentId,
    position: 0,
    start,
    end: start + text.length,
    text,
    headingPath: [],
    page: null,
    tokens: counter.count(text),
    hash: `hash of ${text}`,
    documentTitle: documentId,
    documentUrl: null,
    externalKey: null,
    ...rest,
  };
  return { chunk, score, scores: { dense: null, lexical: null } };
}

const documentTexts = new Map([
  ['doc_guide', guide],
  ['doc_faq', faq],
]);
const textsOf = (passages: readonly { readonly text: string }[]): string[] => passages.map(({ text }) => text);

describe('packContext', () => {
  it('numbers passages by document, the document of the best hit first, in document order within', () => {
    const passages = packContext({
      hits: [
        hit(guide, 'Gamma one.', { score: 0.9 }),
        hit(faq, 'Delta one.', { score: 0.8 }),
        hit(guide, 'Alpha one.', { score: 0.7 }),
      ],
      maxTokens: PLENTY,
      counter,
    });
    expect(textsOf(passages)).toEqual(['Alpha one.', 'Gamma one.', 'Delta one.']);
    expect(passages.map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(passages.map(({ title, score }) => [title, score])).toEqual([
      ['doc_guide', 0.7],
      ['doc_guide', 0.9],
      ['doc_faq', 0.8],
    ]);
  });

  it('joins neighbours over the text between them when it is known', () => {
    const hits = [
      hit(guide, 'Beta one. Beta two.', { score: 0.6 }),
      hit(guide, 'Alpha one. Alpha two.', { score: 0.9 }),
    ];
    const apart = packContext({ hits, maxTokens: PLENTY, counter });
    expect(textsOf(apart)).toEqual(['Alpha one. Alpha two.', 'Beta one. Beta two.']);
    const [joined, ...others] = packContext({ hits, documentTexts, maxTokens: PLENTY, counter });
    expect(others).toEqual([]);
    expect(joined?.text).toBe('Alpha one. Alpha two.\n\nBeta one. Beta two.');
    expect(joined).toMatchObject({ start: 0, score: 0.9, chunkId: hits[1]?.chunk.id });
    expect(joined && hitAt(joined, 12)?.chunk.id).toBe(hits[1]?.chunk.id);
    expect(joined && hitAt(joined, 22)?.chunk.id).toBe(hits[1]?.chunk.id);
    expect(joined && hitAt(joined, 25)?.chunk.id).toBe(hits[0]?.chunk.id);
  });

  it('needs the documents of neighbours alone', () => {
    const neighbours = [hit(guide, 'Beta one.'), hit(faq, 'Delta one.'), hit(guide, 'Alpha two.')];
    expect(documentsToJoin(neighbours)).toEqual(['doc_guide']);
    const touching = [
      hit(guide, 'Alpha one.'),
      hit(guide, ' Alpha two.'),
      hit(guide, 'Gamma one.', { start: 500, end: 510 }),
    ];
    expect(documentsToJoin(touching)).toEqual([]);
  });

  it('joins touching and overlapping chunks without knowing the document', () => {
    const hits = [
      hit(guide, 'Alpha one. Alpha two.\n\nBeta'),
      hit(guide, 'Beta one. Beta two.'),
      hit(guide, '\n\nGamma one.'),
    ];
    expect(textsOf(packContext({ hits, maxTokens: PLENTY, counter }))).toEqual([
      guide.slice(0, guide.indexOf(' Gamma two')),
    ]);
  });

  it('keeps the headings that hold for the whole passage', () => {
    const hits = [
      hit(guide, 'Alpha one. Alpha two.', { headingPath: ['Guide', 'Alpha'] }),
      hit(guide, 'Beta one. Beta two.', { headingPath: ['Guide', 'Beta'] }),
    ];
    expect(packContext({ hits, documentTexts, maxTokens: PLENTY, counter })[0]?.headingPath).toEqual(['Guide']);
  });

  it('leaves out repeats: equal text, equal hash, a range within a better one', () => {
    const passages = packContext({
      hits: [
        hit(guide, 'Alpha one. Alpha two.'),
        hit(guide, 'Alpha two.'),
        hit(faq, 'Delta one.', { text: 'alpha  ONE. Alpha two.' }),
        hit(faq, 'Delta two.', { hash: 'hash of Alpha one. Alpha two.' }),
      ],
      maxTokens: PLENTY,
      counter,
    });
    expect(textsOf(passages)).toEqual(['Alpha one. Alpha two.']);
  });

  it('skips what does not fit and goes on with what does', () => {
    const passages = packContext({
      hits: [hit(guide, 'Alpha one.'), hit(guide, 'Beta one. Beta two.\n\nGamma one.'), hit(faq, 'Delta one.')],
      maxTokens: 32,
      counter,
    });
    expect(textsOf(passages)).toEqual(['Alpha one.', 'Delta one.']);
  });

  it('gives the beginning of the best hit when even that is too long', () => {
    const [passage] = packContext({ hits: [hit(guide, 'Beta one. Beta two.')], maxTokens: 16, counter });
    expect(passage).toMatchObject({ text: 'Beta one.', start: guide.indexOf('Beta'), end: guide.indexOf(' Beta two') });
    expect(packContext({ hits: [hit(guide, 'Beta one.')], maxTokens: 3, counter })).toEqual([]);
    expect(packContext({ hits: [], maxTokens: PLENTY, counter })).toEqual([]);
  });

  it('always stays within the budget and gives exact slices that repeat nothing', () => {
    const range = fc.record({ start: fc.nat(guide.length - 1), length: fc.integer({ min: 1, max: 40 }) });
    const budget = fc.integer({ min: 10, max: 80 });
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), budget, fc.boolean(), (ranges, maxTokens, knowsText) => {
        const hits = ranges.map(({ start, length }, position) => {
          const text = guide.slice(start, start + length);
          return hit(guide, text, {
            start,
            end: start + text.length,
            score: 1 - position / 10,
            hash: `${start} ${length}`,
          });
        });
        const passages = packContext({ hits, maxTokens, counter, ...(knowsText ? { documentTexts } : {}) });
        const tokens = passages.reduce((sum, { title, text }) => sum + counter.count(`${title}\n${text}`) + 12, 0);
        expect(tokens).toBeLessThanOrEqual(maxTokens);
        passages.forEach((passage, position) => {
          expect(passage.text).toBe(guide.slice(passage.start, passage.end));
          expect(passage.index).toBe(position + 1);
          expect(passage.start).toBeGreaterThanOrEqual(passages[position - 1]?.end ?? 0);
        });
      }),
    );
  });
});
