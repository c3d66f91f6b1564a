import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../kernel/index.ts';
import {
  type CircuitBreaker,
  type CircuitPermit,
  type CircuitPolicy,
  createCircuitBreaker,
} from './circuit-breaker.ts';
import type { CircuitStates } from './circuit-states.ts';
import { createMemoryCircuitStates } from './memory-circuit-states.ts';

function setUp(policy: Partial<CircuitPolicy> = {}) {
  const clock = createManualClock();
  const changes: string[] = [];
  const breaker = createCircuitBreaker({
    states: createMemoryCircuitStates(clock),
    clock,
    policy: { failuresInARow: 3, openMs: 1000, maxOpenMs: 4000, probeMs: 10_000, ...policy },
    random: () => 0.5,
    onChange: (_key, state, reason) => void changes.push(`${state} ${reason}`),
  });
  return { clock, breaker, changes };
}

function enter(breaker: CircuitBreaker, key = 'a'): CircuitPermit | null {
  const permit = breaker.enter(key);
  if (permit instanceof Promise) throw new Error('a store in memory has nothing to wait for');
  return permit;
}

function fail(breaker: CircuitBreaker, times: number, key = 'a'): void {
  for (let number = 0; number < times; number += 1) enter(breaker, key)?.failed('provider_error');
}

describe('circuit breaker', () => {
  it('opens after so many failures in a row, for its key alone', () => {
    const { breaker, changes } = setUp();
    fail(breaker, 2);
    expect(breaker.state('a')).toBe('closed');
    fail(breaker, 1);
    expect(breaker.state('a')).toBe('open');
    expect(enter(breaker)).toBeNull();
    expect(enter(breaker, 'b')).not.toBeNull();
    expect(changes).toEqual(['open provider_error']);
  });

  it('begins to count anew with a success', () => {
    const { breaker } = setUp();
    for (let round = 0; round < 5; round += 1) {
      fail(breaker, 2);
      enter(breaker)?.succeeded();
    }
    expect(breaker.state('a')).toBe('closed');
  });

  it('opens when half of many calls fail, even though never many in a row', () => {
    const { breaker } = setUp({ leastCalls: 10, failureShare: 0.5 });
    for (let round = 0; round < 5; round += 1) {
      enter(breaker)?.succeeded();
      fail(breaker, 1);
    }
    expect(breaker.state('a')).toBe('open');
  });

  it('forgets old failures', async () => {
    const { breaker, clock } = setUp({ leastCalls: 10, failureShare: 0.5, windowMs: 10_000 });
    for (let round = 0; round < 4; round += 1) {
      enter(breaker)?.succeeded();
      fail(breaker, 1);
    }
    await clock.advance(11_000);
    enter(breaker)?.succeeded();
    fail(breaker, 1);
    expect(breaker.state('a')).toBe('closed');
  });

  it('counts nothing that shows nothing', () => {
    const { breaker } = setUp();
    for (let round = 0; round < 10; round += 1) enter(breaker)?.released();
    fail(breaker, 2);
    enter(breaker)?.released();
    expect(breaker.state('a')).toBe('closed');
    fail(breaker, 1);
    expect(breaker.state('a')).toBe('open');
  });

  it('says when it may be asked again', async () => {
    const { breaker, clock } = setUp();
    expect(breaker.closedUntil('a')).toBeNull();
    fail(breaker, 3);
    expect(breaker.closedUntil('a')).toBe(clock.now() + 1000);
    await clock.advance(1000);
    expect(breaker.closedUntil('a')).toBeNull();
    expect(breaker.state('a')).toBe('half-open');
  });

  describe('half-open', () => {
    const halfOpen = async () => {
      const made = setUp();
      fail(made.breaker, 3);
      await made.clock.advance(1000);
      return made;
    };

    it('lets exactly one call through', async () => {
      const { breaker } = await halfOpen();
      const permits = Array.from({ length: 50 }, () => enter(breaker));
      expect(permits.filter((permit) => permit !== null)).toHaveLength(1);
      expect(permits[0]?.isProbe).toBe(true);
    });

    it('closes as soon as the probe has begun to go well', async () => {
      const { breaker, changes } = await halfOpen();
      const probe = enter(breaker);
      probe?.begun();
      expect(breaker.state('a')).toBe('closed');
      expect(enter(breaker)?.isProbe).toBe(false);
      probe?.succeeded();
      expect(changes).toEqual(['open provider_error', 'half-open probe', 'closed recovered']);
    });

    it('opens for twice as long with every probe that fails, up to a limit', async () => {
      const { breaker, clock } = await halfOpen();
      for (const expected of [2000, 4000, 4000]) {
        enter(breaker)?.failed('provider_error');
        expect(breaker.closedUntil('a')).toBe(clock.now() + expected);
        await clock.advance(expected);
      }
      enter(breaker)?.succeeded();
      fail(breaker, 3);
      expect(breaker.closedUntil('a')).toBe(clock.now() + 1000);
    });

    it('lets another call probe when the first was cancelled, or never says how it went', async () => {
      const { breaker, clock } = await halfOpen();
      enter(breaker)?.released();
      expect(enter(breaker)?.isProbe).toBe(true);
      expect(enter(breaker)).toBeNull();
      await clock.advance(10_001);
      expect(enter(breaker)?.isProbe).toBe(true);
    });

    it('is not closed by a call that was begun before', async () => {
      const { breaker } = setUp();
      const early = enter(breaker);
      fail(breaker, 3);
      early?.succeeded();
      expect(breaker.state('a')).toBe('open');
    });
  });

  describe('when the other side asks for rest', () => {
    it('rests as long as asked, and then lets all through or one', async () => {
      const { breaker, clock } = setUp();
      breaker.coolDown('a', { milliseconds: 7000, after: 'close', reason: 'provider_rate_limited' });
      breaker.coolDown('b', { milliseconds: 7000, after: 'probe', reason: 'provider_quota_exhausted' });
      expect([enter(breaker, 'a'), enter(breaker, 'b')]).toEqual([null, null]);
      await clock.advance(7000);
      expect([enter(breaker, 'a')?.isProbe, enter(breaker, 'a')?.isProbe]).toEqual([false, false]);
      expect([enter(breaker, 'b')?.isProbe, enter(breaker, 'b')]).toEqual([true, null]);
    });

    it('takes the longest of several', () => {
      const { breaker, clock } = setUp();
      for (const milliseconds of [1000, 5000, 2000]) {
        breaker.coolDown('a', { milliseconds, after: 'close', reason: 'provider_rate_limited' });
      }
      expect(breaker.closedUntil('a')).toBe(clock.now() + 5000);
    });
  });

  it('waits for a store that must be asked, and only for the probe', async () => {
    const clock = createManualClock();
    const memory = createMemoryCircuitStates(clock);
    const shared: CircuitStates = {
      ...memory,
      claimProbe: async (key, expiresAt) => memory.claimProbe(key, expiresAt),
      open: async (key, circuit) => {
        await memory.open(key, circuit);
        throw new Error('away');
      },
    };
    const breaker = createCircuitBreaker({ states: shared, clock, policy: { failuresInARow: 1, openMs: 1000 } });
    fail(breaker, 1);
    await clock.advance(2000);
    const probes = await Promise.all([breaker.enter('a'), breaker.enter('a')]);
    expect(probes.map((probe) => probe?.isProbe ?? null)).toEqual([true, null]);
  });

  it('never lets more than one call through a circuit that is not closed, whatever happens', async () => {
    const step = fc.constantFrom('enter', 'fail', 'succeed', 'release', 'wait', 'cool');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const { breaker, clock } = setUp({ failuresInARow: 2 });
        const held: CircuitPermit[] = [];
        for (const next of steps) {
          const before = breaker.state('a');
          if (next === 'enter') {
            const permit = enter(breaker);
            expect(permit === null || before !== 'open').toBe(true);
            if (permit !== null) held.push(permit);
          } else if (next === 'fail') held.shift()?.failed('x');
          else if (next === 'succeed') held.shift()?.succeeded();
          else if (next === 'release') held.shift()?.released();
          else if (next === 'wait') await clock.advance(700);
          else breaker.coolDown('a', { milliseconds: 500, after: 'probe', reason: 'x' });
          if (breaker.state('a') === 'half-open') {
            const more = Array.from({ length: 3 }, () => enter(breaker)).filter((permit) => permit !== null);
            expect(more.length).toBeLessThanOrEqual(1);
            held.push(...more);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
