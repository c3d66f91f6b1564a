import { beforeEach, describe, expect, it } from 'vitest';
import { type CacheKey, cacheKey, ownerPrefix } from './cache-key.ts';
import type { Cache, Leases } from './ports.ts';

/** How the suite lets time pass for what it tests: by moving an injected clock, or by really waiting. */
export type PassTime = (milliseconds: number) => Promise<void>;

const owner = { tenantId: 'tnt_a', botId: 'bot_a' };
const key = (name: string, of = owner): CacheKey => cacheKey(of, 'answer', [name]);

/** What every cache must do. `make` gives an empty one, or one whose earlier content is of other tenants. */
export function describeCacheContract(
  name: string,
  make: () => Promise<{ readonly cache: Cache; readonly pass: PassTime }>,
): void {
  describe(`cache contract: ${name}`, () => {
    let cache: Cache;
    let pass: PassTime;
    beforeEach(async () => {
      ({ cache, pass } = await make());
      await cache.deleteAll(ownerPrefix(owner));
    });

    it('gives back what it was given, character for character', async () => {
      const values = { empty: '', text: 'ünïcödé 🦉\n"quoted"\u0000', long: 'word '.repeat(20_000), lone: 'a\ud800b' };
      for (const [part, value] of Object.entries(values)) {
        await cache.set(key(part), value, 60_000);
        if (part !== 'lone') expect(await cache.get(key(part))).toBe(value);
      }
      expect(await cache.get(key('never set'))).toBeNull();
    });

    it('keeps the latest value', async () => {
      await cache.set(key('a'), 'first', 60_000);
      await cache.set(key('a'), 'second', 60_000);
      expect(await cache.get(key('a'))).toBe('second');
    });

    it('forgets a value when its time is over, and takes another one', async () => {
      await cache.set(key('short'), 'soon gone', 40);
      await cache.set(key('long'), 'stays', 60_000);
      expect(await cache.get(key('short'))).toBe('soon gone');
      await pass(60);
      expect(await cache.get(key('short'))).toBeNull();
      expect(await cache.get(key('long'))).toBe('stays');
      await cache.set(key('short'), 'back', 60_000);
      expect(await cache.get(key('short'))).toBe('back');
    });

    it('forgets everything of one owner and nothing of others', async () => {
      const others = [
        { tenantId: 'tnt_a', botId: 'bot_ab' },
        { tenantId: 'tnt_ab', botId: 'bot_a' },
        { tenantId: 'tnt_*', botId: 'bot_a' },
      ];
      for (const of of [owner, ...others]) await cache.set(key('x', of), of.botId, 60_000);
      await cache.set(key('y'), 'too', 60_000);
      await cache.deleteAll(ownerPrefix(owner));
      expect(await cache.get(key('x'))).toBeNull();
      expect(await cache.get(key('y'))).toBeNull();
      for (const of of others) expect(await cache.get(key('x', of))).toBe(of.botId);
      for (const of of others) await cache.deleteAll(ownerPrefix(of));
    });

    it('does not take prefixes for patterns', async () => {
      await cache.set(key('x'), 'stays', 60_000);
      await cache.deleteAll('tnt_?/');
      await cache.deleteAll('*');
      expect(await cache.get(key('x'))).toBe('stays');
    });
  });
}

/** What all leases must do. `make` may give the same leases again: the suite uses keys of its own for each test. */
export function describeLeasesContract(
  name: string,
  make: () => Promise<{ readonly leases: Leases; readonly pass: PassTime }>,
): void {
  describe(`leases contract: ${name}`, () => {
    let leases: Leases;
    let pass: PassTime;
    let work: CacheKey;
    let count = 0;
    beforeEach(async () => {
      ({ leases, pass } = await make());
      count += 1;
      work = cacheKey(owner, 'lease', [name, count]);
    });

    it('gives a lease to one of many at once', async () => {
      const taken = await Promise.all(Array.from({ length: 10 }, () => leases.acquire(work, 60_000)));
      expect(taken.filter((lease) => lease !== null)).toHaveLength(1);
      expect(await leases.acquire(cacheKey(owner, 'lease', [name, count, 'other']), 60_000)).not.toBeNull();
    });

    it('is held for as long as it is extended, and no longer', async () => {
      const first = await leases.acquire(work, 200);
      await pass(100);
      expect(await first?.extend(400)).toBe(true);
      await pass(200);
      expect(await leases.acquire(work, 60_000)).toBeNull();
      await pass(300);
      const second = await leases.acquire(work, 60_000);
      expect(second).not.toBeNull();
      expect(await first?.extend(60_000)).toBe(false);
      await second?.release();
    });

    it('gives it to the next when it is released, and when its time is over', async () => {
      await (await leases.acquire(work, 60_000))?.release();
      const second = await leases.acquire(work, 40);
      expect(second).not.toBeNull();
      await pass(60);
      const third = await leases.acquire(work, 60_000);
      expect(third).not.toBeNull();
      await second?.release();
      expect(await leases.acquire(work, 60_000)).toBeNull();
      await third?.release();
      await third?.release();
      expect(await leases.acquire(work, 60_000)).not.toBeNull();
    });
  });
}
