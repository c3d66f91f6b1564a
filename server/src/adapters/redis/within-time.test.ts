import { expect, it } from 'vitest';
import { RedisTimeout, withinTime } from './within-time.ts';

const LIMIT_MS = 40;

function blockFor(milliseconds: number): void {
  for (const until = performance.now() + milliseconds; performance.now() < until; );
}

it('does not count the time in which this process was late itself', async () => {
  const answer = withinTime(
    new Promise<string>((resolve) => setTimeout(() => setTimeout(resolve, 1, 'answer'), LIMIT_MS + 30)),
    LIMIT_MS,
  );
  blockFor(LIMIT_MS * 3);
  expect(await answer).toBe('answer');
});

it('rejects when nothing comes, however late this process is', async () => {
  const never = withinTime(new Promise<never>(() => {}), LIMIT_MS);
  blockFor(LIMIT_MS * 3);
  await expect(never).rejects.toBeInstanceOf(RedisTimeout);
});
