import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKeySecret, hashSecret, hintOf, isKeySecret, sameHash } from './secret.ts';

describe('key secrets', () => {
  it('has the documented shape and a checksum that holds', () => {
    for (const kind of ['live', 'pub'] as const) {
      const secret = createKeySecret(kind, randomBytes);
      expect(secret).toMatch(new RegExp(`^cs_${kind}_[0-9A-Za-z]{38}$`));
      expect(isKeySecret(secret)).toBe(true);
    }
  });

  it('computes CRC-32 as everyone does', () => {
    const secret = createKeySecret('live', () => new Uint8Array(32));
    expect(secret.slice(0, 40)).toBe(`cs_live_${'0'.repeat(32)}`);
    expect(parseBase62(secret.slice(40))).toBe(0x56aaad1b);
  });

  it('refuses every single mistyped character', () => {
    fc.assert(
      fc.property(fc.nat(45), fc.constantFrom(...'09AZaz_-. é'), (position, character) => {
        const secret = createKeySecret('live', randomBytes);
        const typo = secret.slice(0, position) + character + secret.slice(position + 1);
        expect(isKeySecret(typo)).toBe(typo === secret);
      }),
    );
  });

  it('draws each character equally often', () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 400; round += 1) {
      for (const character of createKeySecret('live', randomBytes).slice(8, 40)) {
        counts.set(character, (counts.get(character) ?? 0) + 1);
      }
    }
    const expected = (400 * 32) / 62;
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(counts.size).toBe(62);
    // 61 degrees of freedom: above 130 happens once in a million draws.
    expect(chiSquared).toBeLessThan(130);
  });

  it('hashes under the pepper and compares whole hashes', () => {
    const hash = hashSecret('pepper', 'secret');
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(sameHash(hash, hashSecret('pepper', 'secret'))).toBe(true);
    expect(sameHash(hash, hashSecret('other', 'secret'))).toBe(false);
    expect(sameHash('', '')).toBe(false);
    expect(sameHash(hash, hash.slice(2))).toBe(false);
  });

  it('shows twelve characters at the front and four at the end', () => {
    expect(hintOf('cs_live_abcdefghijklmnop')).toBe('cs_live_abcd...mnop');
  });
});

function parseBase62(text: string): number {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  return [...text].reduce((value, digit) => value * 62 + digits.indexOf(digit), 0);
}
