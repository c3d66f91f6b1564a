import { describe, expect, it } from 'vitest';
import { createManualClock } from '../kernel/index.ts';
import { describeCacheContract, describeLeasesContract } from './cache.contract.ts';
import { cacheKey } from './cache-key.ts';
import { createMemoryCache } from './memory-cache.ts';
import { createMemoryLeases } from './memory-leases.ts';

describeCacheContract('memory', async () => {
  const clock = createManualClock();
  return { cache: createMemoryCache({ maxBytes: 10_000_000, clock }), pass: (ms) => clock.advance(ms) };
});

describeLeasesContract('memory', async () => {
  const clock = createManualClock();
  return { leases: createMemoryLeases({ clock }), pass: (ms) => clock.advance(ms) };
});

describe('memory cache', () => {
  it('stays within its bytes: the least recently used go, and what is huge is not kept', async () => {
    const cache = createMemoryCache({ maxBytes: 100_000, clock: createManualClock() });
    const key = (name: string) => cacheKey({ tenantId: 't', botId: 'b' }, 'answer', [name]);
    const names = Array.from({ length: 40 }, (_, number) => String(number));
    for (const name of names) {
      await cache.set(key(name), 'x'.repeat(2000), 1000);
      await cache.get(key('0'));
    }
    const kept = await Promise.all(names.map((name) => cache.get(key(name))));
    const bytes = kept.reduce((sum, value) => sum + 2 * (value?.length ?? 0), 0);
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(kept[0]).not.toBeNull();
    expect(kept[1]).toBeNull();
    expect(kept.at(-1)).not.toBeNull();
    await cache.set(key('huge'), 'x'.repeat(30_000), 1000);
    expect(await cache.get(key('huge'))).toBeNull();
    expect(await cache.get(key('39'))).not.toBeNull();
  });
});
