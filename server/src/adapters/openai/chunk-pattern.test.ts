import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readChunk } from './chat-chunk.ts';
import { createChunkPattern } from './chunk-pattern.ts';

const chunk = (content: string, more: object = {}): string =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
    ...more,
  });

describe('chunk pattern', () => {
  it('reads the text of a chunk that differs in nothing else', () => {
    const pattern = createChunkPattern();
    expect(pattern.match(chunk('a'))).toBeNull();
    pattern.learn(chunk('a'), 'a');
    expect(pattern.match(chunk(' word'))).toBe(' word');
    expect(pattern.match(chunk(''))).toBe('');
    expect(pattern.match(chunk('é日本'))).toBe('é日本');
  });

  it('leaves alone what has escapes, another shape, or is cut off', () => {
    const pattern = createChunkPattern();
    pattern.learn(chunk('a'), 'a');
    expect(pattern.match(chunk('say "x"'))).toBeNull();
    expect(pattern.match(chunk('line\n'))).toBeNull();
    expect(pattern.match(chunk('a', { usage: { prompt_tokens: 1 } }))).toBeNull();
    expect(pattern.match(chunk('a').slice(0, -1))).toBeNull();
    expect(pattern.match(chunk('b'))).toBe('b');
  });

  it('learns nothing where the key is there twice', () => {
    const twice = chunk('a', { content: 'a' });
    const pattern = createChunkPattern();
    pattern.learn(twice, 'a');
    expect(pattern.match(twice)).toBeNull();
  });

  it('gives up on a server whose chunks all differ', () => {
    const pattern = createChunkPattern();
    for (let number = 0; number < 10; number += 1) {
      const json = chunk('a', { obfuscation: `random ${number}` });
      expect(pattern.match(json)).toBeNull();
      pattern.learn(json, 'a');
    }
    expect(pattern.match(chunk('a', { obfuscation: 'random 9' }))).toBeNull();
  });

  it('never reads another text than the parser does', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('"', '\\', ',', ':', '{', '}', 'content', 'a') }),
    );
    fc.assert(
      fc.property(text, text, text, (first, second, id) => {
        const pattern = createChunkPattern();
        pattern.learn(chunk(first, { id }), first);
        for (const json of [chunk(second, { id }), chunk(second), chunk(first, { id: second })]) {
          const read = pattern.match(json);
          if (read !== null) {
            expect(read).toBe(readChunk(JSON.parse(json)).text);
            expect(readChunk(JSON.parse(json))).toMatchObject({ toolCalls: [], finishReason: null, usage: null });
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});
