import { expect, it } from 'vitest';
import { silentLogger } from '../kernel/index.ts';
import type { Job } from '../store/index.ts';
import { createTrainingNews } from './training-news.ts';

it('news of trainings are watched while they are among the latest thousand', async () => {
  const watched = new Set<string>();
  const warnings: string[] = [];
  const tell = createTrainingNews({
    ...{ queue: 'events', resendMs: 3_600_000 },
    logger: { ...silentLogger, warn: (_fields, message) => void warnings.push(message) },
    client: {
      async sendTask(_name, { id = '' }) {
        const result = (signal?: AbortSignal) =>
          new Promise<never>((_resolve, reject) => {
            watched.add(id);
            signal?.addEventListener('abort', () => {
              watched.delete(id);
              reject(signal.reason);
            });
          });
        return { id, result };
      },
    },
  });
  for (let index = 0; index < 1_000; index += 1) {
    tell(endedJob(index));
    tell(endedJob(index));
  }
  await expect.poll(() => watched.size).toBe(1_000);
  for (let index = 1_000; index < 1_500; index += 1) tell(endedJob(index));
  await expect
    .poll(() => [watched.size, watched.has('job_499-5'), watched.has('job_500-5')])
    .toEqual([1_000, false, true]);
  expect(warnings).toEqual([]);
});

function endedJob(index: number): Job {
  const ended = { kind: 'train', state: 'succeeded', lastError: null, finishedAt: 5 };
  return { id: `job_${index}`, tenantId: 'tnt_1', botId: 'bot_1', sourceId: 'src_1', ...ended } as unknown as Job;
}
