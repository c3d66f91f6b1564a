import { parentPort, Worker, workerData } from 'node:worker_threads';
import { AppError, type ErrorCode } from '../kernel/index.ts';

/** What a worker of a pool answers. */
export type WorkerReply<Response> =
  | { readonly ok: true; readonly value: Response }
  | { readonly ok: false; readonly error: WireError };

/** How often a worker process looks whether its parent is there. */
const PARENT_LOOK_MS = 1_000;

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
  const reply = replies<Response>(transferOf);
  const onRequest = async (request: Request): Promise<void> => {
    try {
      reply({ ok: true, value: await handle(request) });
    } catch (error) {
      reply({ ok: false, error: toWire(error) });
    }
  };
  if (parentPort !== null) {
    parentPort.on('message', onRequest);
    return;
  }
  process.on('message', onRequest);
  process.on('disconnect', () => process.exit());
  endWithParent();
}

/** What the pool was given as `workerData`. */
export function workerSettings<Settings>(): Settings {
  return parentPort === null ? JSON.parse(process.argv.at(-1) ?? 'null') : workerData;
}

function replies<Response>(
  transferOf: (response: Response) => readonly ArrayBuffer[],
): (reply: WorkerReply<Response>) => void {
  const port = parentPort;
  if (port !== null) return (reply) => port.postMessage(reply, reply.ok ? [...transferOf(reply.value)] : []);
  if (process.send === undefined) throw new Error('serveWorkerCalls must run in a worker');
  return (reply) => void process.send?.(reply, undefined, undefined, () => {});
}

/** A process that is busy does not hear that its parent is gone; this thread of it does. */
function endWithParent(): void {
  const watch = `const parent = process.ppid;
    setInterval(() => process.ppid === parent || process.kill(process.pid, 'SIGKILL'), ${PARENT_LOOK_MS});`;
  new Worker(watch, { eval: true }).unref();
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
