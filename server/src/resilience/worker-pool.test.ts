import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { createWorkerPool, type WorkerPool, workerModule } from './worker-pool.ts';

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

describe('worker pool', () => {
  const pools: WorkerPool<{ act: string }, string>[] = [];
  const makePool = (
    callTimeoutMs = 10_000,
    isolation: 'thread' | 'process' = 'thread',
  ): WorkerPool<{ act: string }, string> => {
    const pool = createWorkerPool<{ act: string }, string>({
      module: workerModule(import.meta.url, './echo-worker'),
      size: 2,
      isolation,
      callTimeoutMs,
      resourceLimits: { maxOldGenerationSizeMb: 48 },
      onCrash: (cause) => new AppError('parse_out_of_memory', 'crashed', { cause }),
    });
    pools.push(pool);
    return pool;
  };
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.stop()));
  });

  it('answers calls and never starts more workers than its size', async () => {
    const pool = makePool();
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((act) => pool.call({ act })));
    expect(answers).toEqual(['a', 'b', 'c', 'd']);
    expect(pool.size()).toBeLessThanOrEqual(2);
  });

  it('keeps the code of our errors and hides the text of others', async () => {
    const pool = makePool();
    await expect(pool.call({ act: 'refuse' })).rejects.toMatchObject({ code: 'empty_content', retryable: true });
    const error: AppError = await pool.call({ act: 'throw' }).catch((reason) => reason);
    expect(error.code).toBe('internal_error');
    expect(error.message).not.toContain('secret');
  });

  it.each(['die', 'heap'])('replaces a worker that ends in mid-call (%s)', async (act) => {
    const pool = makePool();
    await expect(pool.call({ act })).rejects.toMatchObject({ code: 'parse_out_of_memory' });
    await expect(pool.call({ act: 'again' })).resolves.toBe('again');
  });

  it.each(['die', 'heap', 'keys'])(
    'outlives a process that ends in mid-call (%s)',
    async (act) => {
      const pool = makePool(30_000, 'process');
      await expect(pool.call({ act: 'refuse' })).rejects.toMatchObject({ code: 'empty_content', retryable: true });
      await expect(pool.call({ act })).rejects.toMatchObject({ code: 'parse_out_of_memory' });
      await expect(pool.call({ act: 'again' })).resolves.toBe('again');
    },
    60_000,
  );

  it('ends a process that hangs, busy or waiting, soon after the limit that the call was granted', async () => {
    const pool = makePool(60_000, 'process');
    await pool.call({ act: 'start' }, undefined, { heapMb: 40 });
    for (const act of ['spin', 'hang']) {
      const call = pool.call({ act }, undefined, { timeoutMs: 100, heapMb: 40 });
      await expect(call).rejects.toMatchObject({ code: 'timeout' });
    }
  }, 60_000);

  it('grants a call the heap that it asks for', async () => {
    const pool = makePool(60_000, 'process');
    const grants = [{ heapMb: 32 }, { heapMb: 64 }];
    const [small, large] = await Promise.all(grants.map((grant) => pool.call({ act: 'limit' }, undefined, grant)));
    expect(Number(large)).toBeGreaterThan(Number(small));
  }, 60_000);

  it('ends a worker that hangs past the time limit', async () => {
    const pool = makePool(300);
    await expect(pool.call({ act: 'hang' })).rejects.toMatchObject({ code: 'timeout' });
    await expect(makePool().call({ act: 'again' })).resolves.toBe('again');
  });

  it('drops waiting and running calls whose signal aborts', async () => {
    const pool = makePool();
    const controller = new AbortController();
    const calls = ['hang', 'hang', 'waits'].map((act) => pool.call({ act }, controller.signal));
    controller.abort(new Error('left'));
    for (const call of calls) await expect(call).rejects.toThrow('left');
    await expect(pool.call({ act: 'again' })).resolves.toBe('again');
  });

  it('gives way before a call, until that is free, aborted or stopped', async () => {
    const { promise: free, resolve: open } = withResolvers();
    const { promise: asked, resolve: onAsked } = withResolvers();
    let way: Promise<void> | undefined = free;
    const pool = createWorkerPool<{ act: string }, string>({
      module: workerModule(import.meta.url, './echo-worker'),
      size: 1,
      callTimeoutMs: 10_000,
      giveWay: () => {
        onAsked();
        return way;
      },
    });
    pools.push(pool);
    const controller = new AbortController();
    let answered = false;
    const call = pool.call({ act: 'a' }).finally(() => {
      answered = true;
    });
    const left = pool.call({ act: 'b' }, controller.signal);
    await asked;
    await new Promise(setImmediate);
    expect(answered).toBe(false);
    controller.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    way = undefined;
    open();
    expect(await call).toBe('a');
    const stopping = withResolvers();
    way = stopping.promise;
    const late = pool.call({ act: 'c' });
    const refused = expect(late).rejects.toMatchObject({ code: 'server_draining' });
    await pool.stop();
    stopping.resolve();
    await refused;
  });

  it('refuses calls once stopped', async () => {
    const pool = makePool();
    await pool.stop();
    await expect(pool.call({ act: 'a' })).rejects.toMatchObject({ code: 'server_draining' });
  });
});
