import { AppError } from '../kernel/index.ts';

/** The key was claimed for another request. */
export function idempotencyKeyReused(): AppError {
  return new AppError(
    'idempotency_key_reused',
    'This Idempotency-Key was used for another request. Use a new key for each new request.',
    { param: 'Idempotency-Key' },
  );
}

/** Whoever holds the key has not answered yet. */
export function idempotencyInProgress(): AppError {
  return new AppError('idempotency_in_progress', 'The first request with this Idempotency-Key has not ended yet.', {
    retryable: true,
    retryAfterMs: 5000,
  });
}
