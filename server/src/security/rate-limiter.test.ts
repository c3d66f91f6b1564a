import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../kernel/index.ts';
import type { AdmittedRequest, RateLimits } from './ports.ts';
import { createRateLimiter } from './rate-limiter.ts';

function setUp(limits: RateLimits) {
  const clock = createManualClock();
  const limiter = createRateLimiter({ clock });
  const admit = (tokens?: number, key = 'key_1') => limiter.admit(key, limits, tokens);
  const admitted = async (tokens?: number): Promise<AdmittedRequest> => {
    const admission = await admit(tokens);
    if (!admission.allowed) throw new Error(`refused: ${admission.exceeded}`);
    return admission;
  };
  return { clock, admit, admitted };
}

describe('rate limiter', () => {
  it('admits everything where there is no limit', async () => {
    const { admit } = setUp({});
    expect(await admit(1e9)).toMatchObject({ allowed: true, limit: null, remaining: null, resetMs: null });
  });

  it('admits a minute of requests at once, then says exactly how long to wait', async () => {
    const { admit, clock } = setUp({ requestsPerMinute: 7 });
    for (let remaining = 6; remaining >= 0; remaining -= 1) {
      expect(await admit()).toMatchObject({ allowed: true, limit: 7, remaining });
    }
    const refused = await admit();
    expect(refused).toMatchObject({ allowed: false, exceeded: 'requests', remaining: 0, retryAfterMs: 8572 });
    await clock.advance(8571);
    expect((await admit()).allowed).toBe(false);
    await clock.advance(1);
    expect((await admit()).allowed).toBe(true);
  });

  it('keeps the limits of different keys apart', async () => {
    const { admit } = setUp({ requestsPerMinute: 1 });
    expect((await admit(0, 'a')).allowed).toBe(true);
    expect((await admit(0, 'b')).allowed).toBe(true);
    expect((await admit(0, 'a')).allowed).toBe(false);
  });

  it('corrects expected tokens to those used, and waits off what was too much', async () => {
    const { admit, admitted, clock } = setUp({ tokensPerMinute: 1_000 });
    (await admitted(600)).finish(100);
    expect(await admit(900)).toMatchObject({ allowed: true, remaining: 0 });
    await clock.advance(60_000);
    (await admitted(100)).finish(2_000);
    expect(await admit(1)).toMatchObject({ allowed: false, exceeded: 'tokens', retryAfterMs: 60_060 });
  });

  it('admits a request larger than the limit from a full bucket, else it could never run', async () => {
    const { admit } = setUp({ tokensPerMinute: 100 });
    expect((await admit(500)).allowed).toBe(true);
    expect((await admit(500)).allowed).toBe(false);
  });

  it('frees a concurrent place once, however often it is finished', async () => {
    const { admit, admitted } = setUp({ concurrent: 2 });
    const first = await admitted();
    await admitted();
    expect(await admit()).toMatchObject({ allowed: false, exceeded: 'concurrent' });
    first.finish();
    first.finish();
    expect((await admit()).allowed).toBe(true);
    expect((await admit()).allowed).toBe(false);
  });

  it('takes nothing of one limit when another refuses', async () => {
    const { admit, admitted } = setUp({ requestsPerMinute: 10, concurrent: 1 });
    const running = await admitted();
    for (let attempt = 0; attempt < 20; attempt += 1) await admit();
    running.finish();
    expect(await admit()).toMatchObject({ allowed: true, remaining: 8 });
  });

  it('gives nothing away when the clock is set back, and goes on from there', async () => {
    const { admit, clock } = setUp({ requestsPerMinute: 1 });
    await admit();
    await clock.advance(-3_600_000);
    expect(await admit()).toMatchObject({ allowed: false, retryAfterMs: 60_000 });
    await clock.advance(60_000);
    expect((await admit()).allowed).toBe(true);
  });

  it('never admits more than a full bucket and its refill, and always after the wait it named', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 500 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 80 }),
        async (requestsPerMinute, pauses) => {
          const { admit, clock } = setUp({ requestsPerMinute });
          let admissions = 0;
          let elapsedMs = 0;
          for (const pause of pauses) {
            const admission = await admit();
            if (admission.allowed) admissions += 1;
            else {
              await clock.advance(admission.retryAfterMs);
              elapsedMs += admission.retryAfterMs;
              expect((await admit()).allowed).toBe(true);
              admissions += 1;
            }
            await clock.advance(pause);
            elapsedMs += pause;
          }
          expect(admissions).toBeLessThanOrEqual(requestsPerMinute + (elapsedMs * requestsPerMinute) / 60_000);
        },
      ),
      { numRuns: 50 },
    );
  });
});
