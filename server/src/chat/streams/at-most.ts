import { createDeadline } from '../../kernel/index.ts';

/** Waits for a promise, at most so long. */
export async function atMost(milliseconds: number, promise: Promise<void>): Promise<void> {
  using deadline = createDeadline(milliseconds);
  const { signal } = deadline;
  await Promise.race([promise, new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))]);
}
