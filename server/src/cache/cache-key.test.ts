import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CacheKind, cacheKey, type KeyPart, ownerPrefix } from './cache-key.ts';

const id = fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', '/', '%', '2', 'F', '*', 'é', ' ') });
const part = fc.letrec<{ part: KeyPart }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom<KeyPart>('', 'a', 'b', 'a,b', '1', 'null', '[]', null, true, 0, 1),
    fc.array(tie('part'), { maxLength: 3 }),
  ),
})).part;
const input = fc.record({
  tenantId: id,
  botId: id,
  kind: fc.constantFrom<CacheKind>('answer', 'question', 'lease'),
  parts: fc.array(part, { maxLength: 4 }),
});

describe('cache keys', () => {
  it('are equal for equal input alone, whatever ids and parts look like', () => {
    fc.assert(
      fc.property(input, input, (one, other) => {
        const [first, second] = [one, other].map(({ kind, parts, ...owner }) => cacheKey(owner, kind, parts));
        expect(first === second).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      { numRuns: 2000 },
    );
  });

  it('begin with what belongs to their owner alone', () => {
    fc.assert(
      fc.property(input, input, (one, other) => {
        const isSame = one.tenantId === other.tenantId && one.botId === other.botId;
        expect(cacheKey(one, one.kind, one.parts).startsWith(ownerPrefix(other))).toBe(isSame);
      }),
      { numRuns: 2000 },
    );
  });

  it('hold no text of users, and cannot be made without tenant and bot', () => {
    expect(cacheKey({ tenantId: 't', botId: 'b' }, 'answer', ['my secret'])).not.toContain('secret');
    expect(() => cacheKey({ tenantId: '', botId: 'b' }, 'answer', [])).toThrow('tenant');
    expect(() => cacheKey({ tenantId: 't', botId: '' }, 'answer', [])).toThrow('bot');
  });
});
