import { getHeapStatistics } from 'node:v8';
import { AppError } from '../kernel/index.ts';
import { serveWorkerCalls } from './worker-call.ts';

/** The worker that the tests of the pool drive. */
serveWorkerCalls(async (request: { readonly act: string }) => {
  if (request.act === 'refuse') throw new AppError('empty_content', 'nothing there', { retryable: true });
  if (request.act === 'throw') throw new Error('secret detail');
  if (request.act === 'die') process.exit(3);
  if (request.act === 'hang') await new Promise(() => {});
  if (request.act === 'heap') {
    const hoard: number[][] = [];
    for (;;) hoard.push(new Array(100_000).fill(1));
  }
  if (request.act === 'keys') {
    // One step within the engine, which no limit of a thread can stop.
    const holes: number[] = [];
    for (let index = 0; index < 2 ** 24; index += 1) holes[index * 2] = index;
    return String(Object.keys(holes).length);
  }
  if (request.act === 'spin') for (;;);
  if (request.act === 'limit') return String(getHeapStatistics().heap_size_limit);
  return request.act;
});
