import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../kernel/index.ts';
import type { AdmittedRequest, RateLimits } from './ports.ts';
import { createRateLimiter } from './rate-limiter.ts';
import { createSharedRateLimiter, type SharedLimits } from './shared-rate-limiter.ts';

export interface SharedLimitsSetup {
  /** Two processes' sides of the same counters. */
  readonly here: SharedLimits;
  readonly there: SharedLimits;
  stop(): Promise<void> | void;
}

/** What all counters of limits that processes share must do, seen through the limiter that uses them. */
export function describeSharedLimits(name: string, make: (clock: ManualClock) => Promise<SharedLimitsSetup>): void {
  describe(`shared limits: ${name}`, () => {
    let clock: ManualClock;
    let setup: SharedLimitsSetup;
    beforeEach(async () => {
      clock = createManualClock();
      setup = await make(clock);
    });
    afterEach(() => setup.stop());

    function limiters(limits: RateLimits) {
      const sides = [setup.here, setup.there].map((shared) =>
        createSharedRateLimiter({ local: createRateLimiter({ clock }), shared }),
      );
      return (number: number, tokens?: number, key = 'key_1') => sides[number % 2]?.admit(key, limits, tokens);
    }

    it('admits a minute of requests on all sides together, then says how long to wait', async () => {
      const admit = limiters({ requestsPerMinute: 10 });
      const admissions = await Promise.all(Array.from({ length: 30 }, (_, number) => admit(number)));
      expect(admissions.filter((admission) => admission?.allowed === true)).toHaveLength(10);
      expect(await admit(0)).toMatchObject({ allowed: false, exceeded: 'requests', limit: 10, remaining: 0 });
      expect(await admit(1, 0, 'another')).toMatchObject({ allowed: true, limit: 10, remaining: 9 });
      await clock.advance(12_000);
      const later = await Promise.all(Array.from({ length: 5 }, (_, number) => admit(number)));
      expect(later.filter((admission) => admission?.allowed === true)).toHaveLength(2);
    });

    it('takes the tokens that were used in place of those expected', async () => {
      const admit = limiters({ tokensPerMinute: 1000 });
      const first = (await admit(0, 600)) as AdmittedRequest;
      expect(await admit(1, 500)).toMatchObject({ allowed: false, exceeded: 'tokens', remaining: 400 });
      first.finish(100);
      first.finish(0);
      await expect.poll(async () => (await admit(0, 500))?.allowed).toBe(true);
      expect(await admit(1, 500)).toMatchObject({ allowed: false, exceeded: 'tokens' });
    });

    it('counts concurrent requests of all sides', async () => {
      const admit = limiters({ concurrent: 2 });
      const [first, second] = (await Promise.all([admit(0), admit(1)])) as AdmittedRequest[];
      expect(await admit(0)).toMatchObject({ allowed: false, exceeded: 'concurrent', limit: 2, retryAfterMs: 1000 });
      first?.finish();
      await expect.poll(async () => (await admit(1))?.allowed).toBe(true);
      expect((await admit(0))?.allowed).toBe(false);
      second?.finish();
    });
  });
}
