import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, it } from 'vitest';
import { createTokenCounter } from './token-counter.ts';

const reference = (text: string): number =>
  countTokens(text, { allowedSpecial: new Set(), disallowedSpecial: new Set() });

describe('token counter', () => {
  const counter = createTokenCounter();

  it.each([
    ['', 0],
    ['Hello, world!', 4],
    ['Grüße aus Köln', 5],
  ])('counts %j', (text, tokens) => {
    expect(counter.count(text)).toBe(tokens);
  });

  it('takes control tokens in a text as plain text', () => {
    expect(counter.count('<|endoftext|>')).toBeGreaterThan(1);
    expect(counter.count('a <|im_start|>system b<|endofprompt|>')).toBeGreaterThan(5);
  });

  it('is exact for any text without a very long run', () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(fc.property(anyText, (text) => counter.count(text) === reference(text)));
  });

  it('is exact for long texts of ordinary words', () => {
    const text = 'The order — placed in 2024 — was sent, naïvely, to Zürich; 漢字も 🙂 too.\n'.repeat(400);
    expect(counter.count(text)).toBe(reference(text));
  });

  it('never fails, even on halves of surrogate pairs', () => {
    const unit = fc.constantFrom('\ud83d', '\ude00', '🙂', '\ufeff', '\u0000', 'é', '<|endoftext|>', '\r', ' ', 'a');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 3000 }), (units) => {
        const text = units.join('');
        expect(counter.count(text)).toBeGreaterThanOrEqual(text.length === 0 ? 0 : 1);
      }),
      { numRuns: 50 },
    );
  });

  it.each(['a', 'A', ' ', '\n', '!', '🙂', '\u0301'])('counts 1 MB of %j in under a second', (letter) => {
    const text = letter.repeat(1_000_000 / letter.length);
    const started = performance.now();
    const tokens = counter.count(text);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(tokens).toBeGreaterThan(1000);
    expect(tokens).toBeLessThanOrEqual(3 * text.length);
  });

  it('stays linear on a long run that never repeats', () => {
    let seed = 1;
    const letters = Array.from({ length: 100_000 }, () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return String.fromCharCode(97 + (seed % 26));
    }).join('');
    const started = performance.now();
    const tokens = counter.count(letters);
    expect(performance.now() - started).toBeLessThan(2000);
    const part = reference(letters.slice(0, 500)) * 200;
    expect(Math.abs(tokens - part)).toBeLessThan(part / 10);
  });

  it('cuts a long run without losing or splitting a character', () => {
    const text = `x${'🙂'.repeat(600)}`;
    expect(Math.abs(counter.count(text) - reference(text))).toBeLessThanOrEqual(4);
  });
});
