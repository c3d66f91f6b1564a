import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError, type Clock, createManualClock } from '../kernel/index.ts';
import { type RetryOptions, retry } from './retry.ts';

/** A clock that wakes every sleeper at once and notes how long it was asked to sleep. */
function createEagerClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = [];
  let now = 0;
  return {
    slept,
    now: () => now,
    async sleep(milliseconds) {
      slept.push(milliseconds);
      now += milliseconds;
    },
  };
}

const busy = (retryAfterMs?: number): AppError =>
  new AppError('provider_rate_limited', 'busy', {
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });

function failing(errors: readonly unknown[]): (attempt: number) => Promise<string> {
  return async (attempt) => {
    if (attempt <= errors.length) throw errors[attempt - 1];
    return 'done';
  };
}

describe('retry', () => {
  const clock = createEagerClock();
  const options = (changes: Partial<RetryOptions> = {}): RetryOptions => {
    clock.slept.length = 0;
    return { attempts: 4, baseDelayMs: 100, maxDelayMs: 250, clock, random: () => 0.5, ...changes };
  };

  it('returns the first result and says how many attempts it took', async () => {
    await expect(retry(options(), failing([]))).resolves.toEqual({ value: 'done', attempts: 1 });
    await expect(retry(options(), failing([busy(), busy()]))).resolves.toEqual({ value: 'done', attempts: 3 });
  });

  it('doubles the range of the wait up to its limit', async () => {
    await retry(options(), failing([busy(), busy(), busy()]));
    expect(clock.slept).toEqual([50, 100, 125]);
  });

  it('keeps every wait within its range (full jitter)', async () => {
    const draws = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(draws, async (values) => {
        const rest = [...values];
        await retry(options({ random: () => rest.shift() ?? 0 }), failing([busy(), busy(), busy()]));
        expect(clock.slept).toEqual([(values[0] ?? 0) * 100, (values[1] ?? 0) * 200, (values[2] ?? 0) * 250]);
      }),
    );
  });

  it('waits as long as the other side asks, and not less', async () => {
    await retry(options(), failing([busy(2000)]));
    expect(clock.slept).toEqual([2050]);
  });

  it('gives up when asked to wait longer than is sane', async () => {
    const error = await retry(options(), failing([busy(61_000)])).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'provider_rate_limited', retryAfterMs: 61_000 });
    expect(clock.slept).toEqual([]);
  });

  it('gives up when the wait would end after the deadline', async () => {
    const deadlineAt = clock.now() + 1000;
    await expect(retry(options({ deadlineAt }), failing([busy(2000)]))).rejects.toBeInstanceOf(AppError);
    expect(clock.slept).toEqual([]);
  });

  it('throws the last error with all attempts as its cause', async () => {
    const errors = [busy(), busy(), busy(), new AppError('provider_error', 'down', { retryable: true })];
    const error = (await retry(options(), failing(errors)).catch((reason: unknown) => reason)) as AppError;
    expect(error).toMatchObject({ code: 'provider_error', message: 'down', retryable: true });
    expect((error.cause as AggregateError).errors).toEqual(errors);
  });

  it('does not retry what cannot be helped', async () => {
    const refused = new AppError('provider_authentication_failed', 'no');
    await expect(retry(options(), failing([refused]))).rejects.toBe(refused);
    const broken = new TypeError('a fault of ours');
    await expect(retry(options(), failing([broken]))).rejects.toBe(broken);
    await expect(
      retry(options({ mayRetry: (failures) => failures.length < 2 }), failing([busy(), busy()])),
    ).rejects.toBeInstanceOf(AppError);
    expect(clock.slept).toHaveLength(1);
  });

  it('stops at once when aborted while waiting, leaving no sleeper', async () => {
    const controller = new AbortController();
    const manual = createManualClock();
    let calls = 0;
    const pending = retry(options({ clock: manual, signal: controller.signal }), async () => {
      calls += 1;
      queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => controller.abort(new Error('left')))));
      throw busy();
    });
    await expect(pending).rejects.toThrow('left');
    await manual.advance(10_000);
    expect(calls).toBe(1);
  });

  it('does not start when already aborted', async () => {
    const signal = AbortSignal.abort(new Error('left'));
    let calls = 0;
    await expect(retry(options({ signal }), async () => (calls += 1))).rejects.toThrow('left');
    expect(calls).toBe(0);
  });
});
