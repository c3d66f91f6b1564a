import { AppError } from '../../kernel/index.ts';

/** Why an answer was given up, as an error that the rest of the house knows. */
export function toAbortError({ reason }: AbortSignal): AppError {
  if (reason instanceof AppError) return reason;
  return new AppError('request_aborted', 'The client left before the answer was complete.', { cause: reason });
}
