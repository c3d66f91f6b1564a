import { expect, it } from 'vitest';
import { createManualClock } from '../kernel/index.ts';
import { describeByteCacheContract } from './byte-cache.contract.ts';
import { createMemoryByteCache, sharedCacheKey } from './byte-cache.ts';

describeByteCacheContract('memory', async () => {
  const clock = createManualClock();
  return { cache: createMemoryByteCache({ maxBytes: 1_000_000, clock }), pass: (ms) => clock.advance(ms) };
});

it('stays within its bytes: the least recently used go', async () => {
  const cache = createMemoryByteCache({ maxBytes: 50_000, clock: createManualClock() });
  const keys = Array.from({ length: 40 }, (_, number) => sharedCacheKey('embedding', [number]));
  const [first] = keys;
  for (const key of keys) {
    await cache.set(key, new Uint8Array(2000), 1000);
    if (first !== undefined) await cache.get(first);
  }
  const kept = (await Promise.all(keys.map((key) => cache.get(key)))).map((value) => value !== null);
  expect(kept.filter((isKept) => isKept).length).toBeLessThanOrEqual(25);
  expect([kept[0], kept[1], kept.at(-1)]).toEqual([true, false, true]);
});

it('has keys that hold nothing of the text and differ by each part', () => {
  const keys = [['a', 'b'], ['ab'], ['a', 'b', ''], ['b', 'a']].map((parts) => sharedCacheKey('embedding', parts));
  expect(new Set(keys).size).toBe(4);
  expect(sharedCacheKey('embedding', ['secret question'])).toMatch(/^embedding\/[\w-]{43}$/);
});
