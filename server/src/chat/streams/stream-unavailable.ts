import { AppError } from '../../kernel/index.ts';

const AGAIN_MS = 1_000;

/** Streams that other processes keep cannot be seen now: whether there is one is not known, and may be in a moment. */
export function streamUnavailable(): AppError {
  return new AppError(
    'stream_unavailable',
    'Answers of other servers cannot be seen at this moment. Ask for this one again.',
    { retryable: true, retryAfterMs: AGAIN_MS },
  );
}

/** Whether an error is that of `streamUnavailable`. */
export function isStreamUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.code === 'stream_unavailable';
}
