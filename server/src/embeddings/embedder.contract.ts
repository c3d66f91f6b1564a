import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Embedder } from './ports.ts';
import { dot } from './unit-vectors.ts';

export interface EmbedderTraits {
  /** False for fakes whose vectors know words but no meaning. */
  readonly knowsMeaning: boolean;
}

const TEXTS = [
  'How do I reset my password?',
  'Steps to recover a forgotten login credential.',
  'Our cafeteria serves vegetable soup on Mondays.',
];

/** What every embedder must do. `make` may return the same embedder for the whole suite. */
export function describeEmbedderContract(name: string, make: () => Embedder, traits: EmbedderTraits): void {
  describe(`embedder contract: ${name}`, () => {
    let embedder: Embedder;
    beforeAll(async () => {
      embedder = make();
      await embedder.start();
    });
    afterAll(() => embedder.stop());

    const embed = async (texts: readonly string[]): Promise<readonly Float32Array[]> =>
      (await embedder.doEmbed(texts, { purpose: 'document' })).vectors;
    const embedOne = async (text: string): Promise<Float32Array> => (await embed([text]))[0] ?? new Float32Array();

    it('gives one unit vector of its width a text, in order', async () => {
      const together = await embed(TEXTS);
      expect(together).toHaveLength(TEXTS.length);
      for (const [position, text] of TEXTS.entries()) {
        const vector = together[position] ?? new Float32Array();
        expect(vector).toHaveLength(embedder.profile.dimensions);
        expect(dot(vector, vector)).toBeCloseTo(1, 4);
        expect(dot(vector, await embedOne(text))).toBeCloseTo(1, 4);
      }
    });

    it('gives the same vector for the same text', async () => {
      const [first, second] = await embed([TEXTS[0] ?? '', TEXTS[0] ?? '']);
      expect(first).toEqual(second);
      const again = await embedder.doEmbed(TEXTS.slice(0, 1), { purpose: 'query' });
      expect(dot(again.vectors[0] ?? new Float32Array(), first ?? new Float32Array())).toBeCloseTo(1, 4);
    });

    it('counts what it read', async () => {
      const result = await embedder.doEmbed(TEXTS, { purpose: 'document' });
      expect(result.inputTokens).toBeGreaterThan(TEXTS.length);
    });

    it('takes no texts, and gives zeros for texts without anything to read', async () => {
      expect(await embed([])).toEqual([]);
      const [empty, blank, text] = await embed(['', ' \n\t ', TEXTS[0] ?? '']);
      expect(empty).toEqual(new Float32Array(embedder.profile.dimensions));
      expect(blank).toEqual(empty);
      expect(text).not.toEqual(empty);
    });

    it('takes any characters', async () => {
      const odd = ['名前は何ですか', 'naïve café Übergröße', '👩‍👩‍👧 \ud800 lone', '\u0000\u200b\ufeff', '٣٤٥', 'ﬁ ﷺ'];
      for (const vector of await embed(odd)) {
        expect(vector).toHaveLength(embedder.profile.dimensions);
        expect(vector.every(Number.isFinite)).toBe(true);
      }
    });

    it('takes a text of 10,000 words', async () => {
      const vector = await embedOne('The invoice is due within thirty days. '.repeat(1_430));
      expect(dot(vector, vector)).toBeCloseTo(1, 4);
    });

    it('refuses more texts than its profile says', async () => {
      const tooMany = Array.from({ length: embedder.profile.maxTextsPerCall + 1 }, () => 'word');
      await expect(embed(tooMany)).rejects.toMatchObject({ code: 'embedding_failed', retryable: false });
    });

    it('rejects with the reason of an aborted signal, and works on', async () => {
      const reason = new Error('left');
      const call = embedder.doEmbed(TEXTS, { purpose: 'document', signal: AbortSignal.abort(reason) });
      await expect(call).rejects.toBe(reason);
      expect(await embed(TEXTS)).toHaveLength(TEXTS.length);
    });

    if (!traits.knowsMeaning) return;
    it('puts texts of like meaning nearer than others', async () => {
      const [question, paraphrase, unrelated] = await embed(TEXTS);
      const none = new Float32Array(embedder.profile.dimensions);
      expect(dot(question ?? none, paraphrase ?? none)).toBeGreaterThan(dot(question ?? none, unrelated ?? none) + 0.1);
    });
  });
}
