import { Worker, type WorkerOptions } from 'node:worker_threads';
import { AppError, createDeadline } from '../kernel/index.ts';
import { fromWire, type WorkerReply } from './worker-call.ts';

export interface WorkerPoolOptions<Request> {
  /** The worker's module: `workerModule(import.meta.url, './x-worker')`. */
  readonly module: URL;
  readonly size: number;
  readonly workerData?: unknown;
  readonly resourceLimits?: WorkerOptions['resourceLimits'];
  /** A call that takes longer ends its worker and rejects with `timeout`. */
  readonly callTimeoutMs: number;
  /** Workers idle for this long are ended to give their memory back; absent: kept. */
  readonly idleTimeoutMs?: number;
  /** Asked before each call is handed to its worker; the call's time begins after it. */
  readonly giveWay?: (signal?: AbortSignal) => Promise<void> | undefined;
  /** Buffers to move instead of copy. */
  readonly transferOf?: (request: Request) => readonly ArrayBuffer[];
  /** Turns the death of a worker in mid-call into the caller's error. */
  readonly onCrash?: (cause: unknown) => AppError;
}

export interface WorkerPool<Request, Response> {
  /** Calls wait for a free worker in order. Aborting a waiting call drops it; aborting a running one ends its worker. */
  call(request: Request, signal?: AbortSignal): Promise<Response>;
  /** Workers alive now. */
  size(): number;
  stop(): Promise<void>;
}

/** A third of Node's own: every thread has a young generation of its own, and theirs live for milliseconds. */
const YOUNG_GENERATION_MB = 16;

interface Task<Request, Response> {
  readonly request: Request;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
  readonly dropWaiting: () => void;
}

interface Member {
  readonly worker: Worker;
  state: 'busy' | 'idle' | 'ended';
  idleTimer: NodeJS.Timeout | undefined;
}

/** The URL of a worker's module beside the caller: `.ts` when run from source, `.js` when compiled. */
export function workerModule(caller: string, name: string): URL {
  return new URL(`${name}${caller.endsWith('.ts') ? '.ts' : '.js'}`, caller);
}

/** Worker threads behind a call: started on demand, one call each at a time, replaced when they die or hang. */
export function createWorkerPool<Request, Response>(
  options: WorkerPoolOptions<Request>,
): WorkerPool<Request, Response> {
  const members = new Set<Member>();
  const waiting: Task<Request, Response>[] = [];
  let stopped = false;

  function startMember(): Member {
    const member: Member = { worker: startWorker(options), state: 'idle', idleTimer: undefined };
    members.add(member);
    return member;
  }

  function endMember(member: Member): Promise<number> {
    member.state = 'ended';
    clearTimeout(member.idleTimer);
    members.delete(member);
    return member.worker.terminate();
  }

  function next(): void {
    while (waiting.length > 0 && !stopped) {
      const idle = [...members].find((member) => member.state === 'idle');
      const member = idle ?? (members.size < options.size ? startMember() : undefined);
      if (member === undefined) return;
      const task = waiting.shift();
      if (task !== undefined) void run(member, task);
    }
  }

  async function run(member: Member, task: Task<Request, Response>): Promise<void> {
    member.state = 'busy';
    task.signal?.removeEventListener('abort', task.dropWaiting);
    clearTimeout(member.idleTimer);
    member.worker.ref();
    try {
      const way = options.giveWay?.(task.signal);
      if (way !== undefined) await way;
      task.signal?.throwIfAborted();
      if (stopped) throw new WorkerFailure(draining());
      task.resolve(await callMember(member.worker, task, options));
      rest(member);
    } catch (error) {
      if (error instanceof WorkerFailure) {
        void endMember(member);
        task.reject(error.reason);
      } else {
        task.reject(error);
        rest(member);
      }
    }
    next();
  }

  function rest(member: Member): void {
    if (member.state === 'ended') return;
    member.state = 'idle';
    member.worker.unref();
    if (options.idleTimeoutMs === undefined) return;
    member.idleTimer = setTimeout(() => void endMember(member), options.idleTimeoutMs);
    member.idleTimer.unref();
  }

  return {
    call: (request, signal) =>
      new Promise((resolve, reject) => {
        if (stopped) return reject(draining());
        if (signal?.aborted) return reject(signal.reason);
        const dropWaiting = (): void => {
          const position = waiting.indexOf(task);
          if (position < 0) return;
          waiting.splice(position, 1);
          reject(signal?.reason);
        };
        const task: Task<Request, Response> = { request, signal, resolve, reject, dropWaiting };
        signal?.addEventListener('abort', dropWaiting, { once: true });
        waiting.push(task);
        next();
      }),
    size: () => members.size,
    async stop() {
      stopped = true;
      for (const task of waiting.splice(0)) task.reject(draining());
      await Promise.all([...members].map(endMember));
    },
  };
}

function draining(): AppError {
  return new AppError('server_draining', 'The server is stopping.', { retryable: true });
}

/** The worker is not to be used again: it died, hung, or works for nobody. */
class WorkerFailure extends Error {
  readonly reason: unknown;
  constructor(reason: unknown) {
    super('worker failed');
    this.reason = reason;
  }
}

/** Starts a worker thread from source or compiled code. For threads that a pool does not fit (many calls in flight). */
export function startWorker({
  module,
  workerData,
  resourceLimits,
}: Pick<WorkerPoolOptions<never>, 'module' | 'workerData' | 'resourceLimits'>): Worker {
  // Run from source (tests), a worker needs the same TypeScript loader; compiled code needs none.
  const fromSource = module.pathname.endsWith('.ts');
  const worker = new Worker(fromSource ? importThroughLoader(module) : module, {
    eval: fromSource,
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB, ...resourceLimits },
  });
  worker.setMaxListeners(0);
  // A worker that dies while idle must not take the process with it; callers see deaths through their own listeners.
  worker.on('error', () => {});
  return worker;
}

function importThroughLoader(module: URL): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(module.href)}); });`;
}

function callMember<Request, Response>(
  worker: Worker,
  task: Task<Request, Response>,
  options: WorkerPoolOptions<Request>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const deadline = createDeadline(options.callTimeoutMs, task.signal);
    const settle = (act: () => void): void => {
      deadline[Symbol.dispose]();
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      deadline.signal.removeEventListener('abort', onAbort);
      act();
    };
    const crash = (cause: unknown): unknown =>
      options.onCrash?.(cause) ??
      new AppError('internal_error', 'A worker thread ended in mid-work.', { cause, retryable: true });
    const onMessage = (reply: WorkerReply<Response>): void =>
      settle(() => (reply.ok ? resolve(reply.value) : reject(fromWire(reply.error))));
    const onError = (error: unknown): void => settle(() => reject(new WorkerFailure(crash(error))));
    const onExit = (code: number): void => settle(() => reject(new WorkerFailure(crash(new Error(`exit ${code}`)))));
    const onAbort = (): void => settle(() => reject(new WorkerFailure(deadline.signal.reason)));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    deadline.signal.addEventListener('abort', onAbort, { once: true });
    worker.postMessage(task.request, [...(options.transferOf?.(task.request) ?? [])]);
  });
}
