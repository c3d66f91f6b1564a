import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryDelayMs } from './retry-delay.ts';

describe('retry delay', () => {
  it('doubles with every attempt up to its bound', () => {
    const delays = [1, 2, 3, 4, 5, 60].map((attempts) =>
      retryDelayMs(attempts, { firstMs: 1_000, maxMs: 10_000, random: () => 1 }),
    );
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it('is between half and all of that', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempts, random) => {
          const options = { firstMs: 1_000, maxMs: 60_000 };
          const whole = retryDelayMs(attempts, { ...options, random: () => 1 });
          const delay = retryDelayMs(attempts, { ...options, random: () => random });
          expect(delay).toBeGreaterThanOrEqual(whole / 2);
          expect(delay).toBeLessThanOrEqual(whole);
        },
      ),
    );
  });
});
