import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FoundChunk } from '../../store/index.ts';
import type { PackedPassage } from '../context/index.ts';
import { citeAnswer, isVerified } from './citations.ts';

const leave = [
  '# Leave',
  '',
  'You accrue **four hours** of [sick leave](#sick) per pay period. There is no maximum.',
  '',
  'You can use sick leave for:',
  '- Doctor appointments',
  '- Mental health care',
  '',
  'Annual leave is different. You can carry over at most 240 hours.',
].join('\n');

function passageOf(document: string, index: number, [start, end] = [0, document.length]): PackedPassage {
  const chunk: FoundChunk = {
    id: `chk_${index}`,
    tenantId: 'tnt_1',
    botId: 'bot_1',
    sourceId: 'src_1',
    documentId: `doc_${index}`,
    position: 0,
    start,
    end,
    text: document.slice(start, end),
    headingPath: [],
    page: 3,
    tokens: 1,
    hash: 'h',
    documentTitle: 'Leave types',
    documentUrl: 'https://example.org/leave',
    externalKey: 'leave',
  };
  return {
    index,
    title: chunk.documentTitle,
    headingPath: [],
    text: chunk.text,
    score: 0.9,
    sourceId: chunk.sourceId,
    documentId: chunk.documentId,
    chunkId: chunk.id,
    externalKey: chunk.externalKey,
    url: chunk.documentUrl,
    page: chunk.page,
    start,
    end,
    hits: [{ chunk, score: 0.9, scores: { dense: 0.5, lexical: 3 } }],
  };
}

const cite = (answer: string, document = leave, passages = [passageOf(document, 1)]) =>
  citeAnswer({ question: 'How much sick leave?', answer, passages, documentTexts: new Map([['doc_1', document]]) });

describe('citations', () => {
  it('quotes the statement as it is stored, Markdown and all', () => {
    expect(cite('You accrue four hours of sick leave per pay period [1].')).toEqual([
      {
        index: 1,
        sourceId: 'src_1',
        documentId: 'doc_1',
        chunkId: 'chk_1',
        externalKey: 'leave',
        title: 'Leave types',
        url: 'https://example.org/leave',
        page: 3,
        start: leave.indexOf('You accrue'),
        end: leave.indexOf(' There is'),
        quote: 'You accrue **four hours** of [sick leave](#sick) per pay period.',
        score: 0.9,
      },
    ]);
  });

  it('finds the statement behind a paraphrase', () => {
    const [citation] = cite('The carry-over limit for annual leave is 240 hours [1].');
    expect(citation?.quote).toBe('You can carry over at most 240 hours.');
  });

  it('joins a list with what leads into it to one quote', () => {
    const citations = cite('You can use sick leave for:\n\n- Doctor appointments [1]\n- Mental health care [1]');
    expect(citations.map(({ quote }) => quote)).toEqual([
      'You can use sick leave for:\n- Doctor appointments\n- Mental health care',
    ]);
  });

  it('keeps quotes apart that have other text between them', () => {
    const citations = cite('You accrue four hours per pay period [1]. You can carry over 240 hours [1].');
    expect(citations.map(({ quote }) => quote)).toHaveLength(2);
  });

  it('resolves a marker in front of its sentence', () => {
    expect(cite('[1] You can carry over at most 240 hours.').map(({ quote }) => quote)).toEqual([
      'You can carry over at most 240 hours.',
    ]);
  });

  it('leaves out what no statement supports and what points nowhere', () => {
    expect(cite('Bananas ripen quickly [1].')).toEqual([]);
    expect(cite('You accrue four hours of sick leave [2].')).toEqual([]);
  });

  it('drops citations of a document that has changed or gone', () => {
    const stale = [passageOf(leave, 1)];
    const answer = 'You can carry over at most 240 hours [1].';
    expect(cite(answer, `New first line.\n${leave}`, stale)).toEqual([]);
    expect(citeAnswer({ question: 'q', answer, passages: stale, documentTexts: new Map<string, string>() })).toEqual(
      [],
    );
  });

  it('gives exact slices for any document, any cut of it and any answer', () => {
    const word = fc.constantFrom(
      'leave',
      'hours',
      '**240**',
      '[sick](#x)',
      'You',
      'e.g.',
      '- item',
      '\n',
      '\n\n',
      '| a | b |',
      '#',
      '.',
      '?',
      '休暇。',
      '😀',
      '```',
    );
    const text = fc.array(word, { minLength: 1, maxLength: 40 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(text, fc.tuple(fc.nat(200), fc.nat(200)), text, (...[document, [from, length], said]) => {
        const start = Math.min(from, document.length);
        const end = Math.min(document.length, start + length);
        const passages = [passageOf(document, 1, [start, end])];
        const answer = `${said} [1]. ${document.slice(start, end)} [1][1] ${said}`;
        const documentTexts = new Map([['doc_1', document]]);
        for (const citation of citeAnswer({ question: said, answer, passages, documentTexts })) {
          expect(isVerified(citation, documentTexts)).toBe(true);
          expect(citation.start).toBeGreaterThanOrEqual(start);
          expect(citation.end).toBeLessThanOrEqual(end);
        }
      }),
      { numRuns: 300 },
    );
  });
});
