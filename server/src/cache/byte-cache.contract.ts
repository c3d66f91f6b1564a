import { beforeEach, describe, expect, it } from 'vitest';
import { type ByteCache, sharedCacheKey } from './byte-cache.ts';
import type { PassTime } from './cache.contract.ts';

/** What every cache of bytes must do. `make` may give the same one again: the suite uses keys of its own for each test. */
export function describeByteCacheContract(
  name: string,
  make: () => Promise<{ readonly cache: ByteCache; readonly pass: PassTime }>,
): void {
  describe(`byte cache contract: ${name}`, () => {
    let cache: ByteCache;
    let pass: PassTime;
    let count = 0;
    const key = (part: string) => sharedCacheKey('embedding', [name, count, part]);
    beforeEach(async () => {
      ({ cache, pass } = await make());
      count += 1;
    });

    it('gives back every byte as it was', async () => {
      const values = {
        empty: new Uint8Array(),
        all: Uint8Array.from({ length: 256 }, (_, byte) => byte),
        floats: new Uint8Array(Float32Array.of(0.5, -1, 1e-20, Number.NaN).buffer),
        // A part of something larger, which does not begin where numbers do.
        torn: new Uint8Array(Uint8Array.from({ length: 64 }, (_, byte) => 255 - byte).buffer, 3, 40),
      };
      for (const [part, value] of Object.entries(values)) {
        await cache.set(key(part), value, 60_000);
        expect(Buffer.from((await cache.get(key(part))) ?? []).equals(Buffer.from(value)), part).toBe(true);
      }
      expect(await cache.get(key('never set'))).toBeNull();
    });

    it('forgets a value when its time is over', async () => {
      await cache.set(key('short'), Uint8Array.of(1), 40);
      await cache.set(key('long'), Uint8Array.of(2), 60_000);
      await pass(60);
      expect(await cache.get(key('short'))).toBeNull();
      expect(await cache.get(key('long'))).not.toBeNull();
    });
  });
}
