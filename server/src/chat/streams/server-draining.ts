import { AppError } from '../../kernel/index.ts';

/** The answer ends here because the process does. */
export function serverDraining(): AppError {
  return new AppError('server_draining', 'The server is stopping, and the answer broke off. Resume it, or ask again.', {
    retryable: true,
    retryAfterMs: 5000,
  });
}
