import { parentPort } from 'node:worker_threads';
import { AppError, type ErrorCode } from '../kernel/index.ts';

/** What a worker of a pool answers. */
export type WorkerReply<Response> =
  | { readonly ok: true; readonly value: Response }
  | { readonly ok: false; readonly error: WireError };

/** An error as it crosses a thread border. */
export interface WireError {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly retryable: boolean;
  readonly stack: string | undefined;
}

/**
 * The worker's side of a pool: answers each message with what `handle` makes of it. An AppError keeps its code; any
 * other error arrives as `internal_error`.
 */
export function serveWorkerCalls<Request, Response>(
  handle: (request: Request) => Promise<Response> | Response,
  transferOf: (response: Response) => readonly ArrayBuffer[] = () => [],
): void {
  const port = parentPort;
  if (port === null) throw new Error('serveWorkerCalls must run in a worker thread');
  port.on('message', async (request: Request) => {
    try {
      const value = await handle(request);
      port.postMessage({ ok: true, value } satisfies WorkerReply<Response>, [...transferOf(value)]);
    } catch (error) {
      port.postMessage({ ok: false, error: toWire(error) } satisfies WorkerReply<Response>);
    }
  });
}

function toWire(error: unknown): WireError {
  if (error instanceof AppError) {
    return { code: error.code, message: error.message, retryable: error.retryable, stack: error.stack };
  }
  const stack = error instanceof Error ? error.stack : undefined;
  return { code: null, message: error instanceof Error ? error.message : String(error), retryable: false, stack };
}

export function fromWire(error: WireError): AppError {
  const cause = new Error(error.message);
  if (error.stack !== undefined) cause.stack = error.stack;
  if (error.code !== null) return new AppError(error.code, error.message, { retryable: error.retryable, cause });
  return new AppError('internal_error', 'Something went wrong in a worker thread.', { cause });
}
