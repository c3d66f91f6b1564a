import { describe, expect, it } from 'vitest';
import { sealFor } from './response-seal.ts';

describe('the seal of a kept answer', () => {
  it('opens with the same two keys', () => {
    expect(sealFor('cs_live_a', 'k').open(sealFor('cs_live_a', 'k').close('secret'))).toBe('secret');
  });

  it('opens with no other keys, and not after a change', () => {
    const sealed = sealFor('cs_live_a', 'k').close('secret');
    expect(() => sealFor('cs_live_b', 'k').open(sealed)).toThrow();
    expect(() => sealFor('cs_live_a', 'j').open(sealed)).toThrow();
    const bytes = Buffer.from(sealed, 'base64');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(() => sealFor('cs_live_a', 'k').open(bytes.toString('base64'))).toThrow();
  });
});
