import { EmbeddingsModel } from '@energetic-ai/embeddings';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPieceTokenizer, type Piece } from './piece-tokenizer.ts';
import { openUseLiteFiles } from './use-lite-weights.ts';

interface Reference {
  readonly tokenizer: { encode(text: string): number[] };
}

/** The tokenizer of the model's own package; the model is not needed for it. */
function referenceFor(vocabulary: readonly Piece[]): Reference['tokenizer'] {
  const parts = { vocabulary, model: null } as unknown as ConstructorParameters<typeof EmbeddingsModel>[0];
  return (new EmbeddingsModel(parts) as unknown as Reference).tokenizer;
}

const { vocabulary } = openUseLiteFiles();
const tokenizer = createPieceTokenizer(vocabulary);
const reference = referenceFor(vocabulary);

describe('piece tokenizer', () => {
  it('cuts as the reference does: words', () => {
    const piece = fc.constantFrom(...vocabulary.slice(6).map(([text]) => text.replaceAll('\u2581', ' ')));
    const text = fc.array(piece, { minLength: 1, maxLength: 30 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, (words) => {
        expect(tokenizer.encode(words)).toEqual(reference.encode(words));
      }),
    );
  });

  it('cuts as the reference does: any characters', () => {
    const text = fc.string({ unit: 'binary', maxLength: 80 });
    const letters = fc.string({ unit: fc.constantFrom(...'abcdest .,\n\u0301名👩ﬁ'), maxLength: 120 });
    fc.assert(
      fc.property(fc.oneof(text, letters), (characters) => {
        expect(tokenizer.encode(characters)).toEqual(reference.encode(characters));
      }),
      { numRuns: 500 },
    );
  });

  it('cuts as the reference does: vocabularies where pieces overlap and scores are equal', () => {
    const marks = Array.from({ length: 6 }, (_, index): Piece => [index === 0 ? '\ufffd' : `<${index}>`, 0]);
    const piece = fc.tuple(
      fc.string({ unit: fc.constantFrom('a', 'b', '\u2581'), minLength: 1, maxLength: 4 }),
      fc.constantFrom(-3, -2, -1, 0, 0.5),
    );
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' '), maxLength: 20 });
    fc.assert(
      fc.property(fc.uniqueArray(piece, { selector: ([name]) => name, maxLength: 8 }), text, (pieces, characters) => {
        const words = [...marks, ...pieces];
        expect(createPieceTokenizer(words).encode(characters)).toEqual(referenceFor(words).encode(characters));
      }),
      { numRuns: 500 },
    );
  });

  it('takes long texts in linear time', () => {
    const text = 'the quick brown fox '.repeat(20_000);
    const startedAt = performance.now();
    expect(tokenizer.encode(text).length).toBeGreaterThan(60_000);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
