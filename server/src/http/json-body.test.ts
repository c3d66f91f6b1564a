import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { parseJsonBody } from './json-body.ts';

function parse(text: string | Uint8Array): unknown {
  return parseJsonBody(typeof text === 'string' ? Buffer.from(text) : text);
}

function codeOf(text: string | Uint8Array): string {
  try {
    parse(text);
    return 'accepted';
  } catch (error) {
    return error instanceof AppError ? error.code : 'another error';
  }
}

describe('a JSON body', () => {
  it('is what JSON.parse makes of it, for any harmless value', () => {
    const harmless = fc
      .jsonValue({ maxDepth: 8 })
      .filter((value) => !/\\u0000|__proto__|constructor/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(harmless, (value) => {
        expect(parse(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it.each([
    ['cut off', '{"a":'],
    ['not UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['a prototype key', '{"a":{"__proto__":{"x":1}}}'],
    ['a constructor that reaches the prototype', '{"constructor":{"prototype":{"x":1}}}'],
    ['a bomb of brackets', `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    ['a bomb of objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ])('refuses %s', (_name, text) => {
    expect(codeOf(text)).toBe('invalid_json');
  });

  it.each([
    ['NUL in a text', '{"a":"x\\u0000y"}'],
    ['NUL in a key', '{"a\\u0000":1}'],
    ['half of a surrogate pair', '{"a":["\\ud800"]}'],
  ])('refuses %s, which is JSON, as a value that cannot be taken', (_name, text) => {
    expect(codeOf(text)).toBe('invalid_request');
  });

  it('names where the fault lies', () => {
    expect(() => parse('{"messages":[{"content":"\\u0000"}]}')).toThrow(
      expect.objectContaining({ param: 'messages[0].content' }),
    );
  });

  it('takes whole surrogate pairs, and a key that is only called constructor', () => {
    expect(parse('{"constructor":"x","a":"\\ud83d\\ude00"}')).toEqual({ constructor: 'x', a: '😀' });
  });
});
