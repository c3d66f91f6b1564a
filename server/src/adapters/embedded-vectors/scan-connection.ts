import type { Worker } from 'node:worker_threads';
import { AppError, type Logger } from '../../kernel/index.ts';
import { startWorker, workerModule } from '../../resilience/index.ts';
import type { ScanCall, ScanMessage, ScanOutcome, ScanRequest } from './scan-protocol.ts';

/** The worker ended with this call unanswered, and everything in its memory is gone. */
export class WorkerLost extends Error {
  override readonly name = 'WorkerLost';
}

/** `failed` outcomes have become rejections. */
export type ScanAnswer = Exclude<ScanOutcome, { type: 'failed' }>;

/** Calls to the scan worker, any number in flight; a worker that dies is replaced by the next call. */
export interface ScanConnection {
  /**
   * The message is sent before this returns, so calls are handled in the order they were made. Rejects with
   * `WorkerLost`, with the worker's AppError, or with the signal's reason (the worker still does the work).
   */
  call(request: ScanRequest, signal?: AbortSignal): Promise<ScanAnswer>;
  start(): void;
  stop(): Promise<void>;
}

interface Pending {
  readonly resolve: (answer: ScanAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** `onEvicted`: a namespace left the worker's memory. `onLost`: all of them did, with the worker. */
export function createScanConnection(options: {
  readonly memoryCapBytes: number;
  readonly logger: Logger;
  readonly onEvicted: (key: string) => void;
  readonly onLost: () => void;
}): ScanConnection {
  const pending = new Map<number, Pending>();
  let worker: Worker | null = null;
  let lastId = 0;
  let stopped = false;

  function ensureWorker(): Worker {
    if (worker !== null) return worker;
    const started = startWorker({
      module: workerModule(import.meta.url, './scan-worker'),
      workerData: { memoryCapBytes: options.memoryCapBytes },
    });
    started.on('message', receive);
    started.on('error', (error) => lose(started, error));
    started.on('exit', (code) => lose(started, new Error(`exit ${code}`)));
    worker = started;
    return started;
  }

  function receive(message: ScanMessage): void {
    if (message.type === 'evicted') {
      options.logger.debug({ bytes: message.bytes }, 'A namespace left the memory of the vector scan.');
      options.onEvicted(message.key);
      return;
    }
    const call = pending.get(message.id);
    pending.delete(message.id);
    if (message.outcome.type === 'failed') call?.reject(toError(message.outcome));
    else call?.resolve(message.outcome);
  }

  function lose(lost: Worker, cause: unknown): void {
    if (worker !== lost) return;
    worker = null;
    void lost.terminate();
    options.onLost();
    options.logger.error(
      { err: cause, calls: pending.size },
      'The vector scan worker ended. The next search starts it again.',
    );
    rejectAll(() => new WorkerLost('The vector scan worker ended.', { cause }));
  }

  function rejectAll(reason: () => Error): void {
    const calls = [...pending.values()];
    pending.clear();
    for (const call of calls) call.reject(reason());
  }

  function send(call: ScanCall): void {
    const { request } = call;
    const buffers = 'rows' in request ? [request.rows.vectors.buffer as ArrayBuffer] : [];
    ensureWorker().postMessage(call, buffers);
  }

  return {
    call: (request, signal) =>
      new Promise((resolve, reject) => {
        if (stopped) return reject(stopping());
        if (signal?.aborted) return reject(signal.reason);
        lastId += 1;
        const id = lastId;
        const onAbort = (): void => {
          pending.delete(id);
          reject(signal?.reason);
        };
        const settle = (): void => signal?.removeEventListener('abort', onAbort);
        pending.set(id, {
          resolve: (answer) => [settle(), resolve(answer)],
          reject: (error) => [settle(), reject(error)],
        });
        signal?.addEventListener('abort', onAbort, { once: true });
        send({ id, request });
      }),
    start() {
      stopped = false;
      ensureWorker();
    },
    async stop() {
      stopped = true;
      const ending = worker;
      worker = null;
      rejectAll(stopping);
      await ending?.terminate();
    },
  };
}

function toError({ code, message, stack }: Extract<ScanOutcome, { type: 'failed' }>): AppError {
  const cause = new Error(message);
  if (stack !== undefined) cause.stack = stack;
  return new AppError(code, message, { cause, retryable: code === 'internal_error' });
}

function stopping(): AppError {
  return new AppError('server_draining', 'The server is stopping.', { retryable: true });
}
