import { AppError } from '../kernel/index.ts';
import { createBusyDeadline } from './busy-deadline.ts';
import { fromWire, type WorkerReply } from './worker-call.ts';
import { startProcess, startThread, type WorkerHandle, type WorkerPlan } from './worker-process.ts';

export interface WorkerPoolOptions<Request> extends WorkerPlan {
  readonly size: number;
  /** `process`: what overflows its heap ends a process of its own. Absent: threads. */
  readonly isolation?: 'thread' | 'process';
  /**
   * A call that works for longer ends its worker and rejects with `timeout`. Of a process it is the processor time that counts
   * (on Linux), for up to `LONGEST_WAIT` times as long.
   */
  readonly callTimeoutMs: number;
  /** Workers idle for this long are ended to give their memory back; absent: kept. A function is asked after each call. */
  readonly idleTimeoutMs?: number | (() => number);
  /** Asked before each call is handed to its worker; the call's time begins after it. */
  readonly giveWay?: (signal?: AbortSignal) => Promise<void> | undefined;
  /** Buffers to move instead of copy. */
  readonly transferOf?: (request: Request) => readonly ArrayBuffer[];
  /** Turns the death of a worker in mid-call into the caller's error. */
  readonly onCrash?: (cause: unknown) => AppError;
}

/** What one call may use, where that is not what the pool grants. */
export interface CallGrant {
  /** In the place of `callTimeoutMs`. */
  readonly timeoutMs?: number;
  /** The old generation of the heap, in MB: the call runs in a worker of just this. */
  readonly heapMb?: number;
}

export interface WorkerPool<Request, Response> {
  /** Calls wait for a free worker in order. Aborting a waiting call drops it; aborting a running one ends its worker. */
  call(request: Request, signal?: AbortSignal, grant?: CallGrant): Promise<Response>;
  /** Workers alive now. */
  size(): number;
  stop(): Promise<void>;
}

/** A call waits this many times its limit at most, however little of the processor it was given. */
const LONGEST_WAIT = 10;

interface Task<Request, Response> {
  readonly request: Request;
  readonly signal: AbortSignal | undefined;
  readonly grant: CallGrant;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
  readonly dropWaiting: () => void;
}

interface Member {
  readonly worker: WorkerHandle;
  readonly heapMb: number | undefined;
  state: 'busy' | 'idle' | 'ended';
  idleTimer: NodeJS.Timeout | undefined;
}

/** The URL of a worker's module beside the caller: `.ts` when run from source, `.js` when compiled. */
export function workerModule(caller: string, name: string): URL {
  return new URL(`${name}${caller.endsWith('.ts') ? '.ts' : '.js'}`, caller);
}

/** Worker threads or processes behind a call: started on demand, one call each at a time, replaced when they die or hang. */
export function createWorkerPool<Request, Response>(
  options: WorkerPoolOptions<Request>,
): WorkerPool<Request, Response> {
  const members = new Set<Member>();
  const waiting: Task<Request, Response>[] = [];
  let stopped = false;

  function startMember({ heapMb }: CallGrant): Member {
    const { resourceLimits } = options;
    const limits = heapMb === undefined ? resourceLimits : { ...resourceLimits, maxOldGenerationSizeMb: heapMb };
    const plan = { ...options, ...(limits === undefined ? {} : { resourceLimits: limits }) };
    const worker = options.isolation === 'process' ? startProcess(plan) : startThread(plan);
    const member: Member = { worker, heapMb, state: 'idle', idleTimer: undefined };
    members.add(member);
    return member;
  }

  function endMember(member: Member): Promise<unknown> {
    member.state = 'ended';
    clearTimeout(member.idleTimer);
    members.delete(member);
    return member.worker.end();
  }

  function next(): void {
    for (let [task] = waiting; task !== undefined && !stopped; [task] = waiting) {
      const { grant } = task;
      if ([...members].filter(({ state }) => state === 'busy').length >= options.size) return;
      const idle = [...members].find(({ state, heapMb }) => state === 'idle' && heapMb === grant.heapMb);
      waiting.shift();
      void run(idle ?? startMember(grant), task);
    }
  }

  async function run(member: Member, task: Task<Request, Response>): Promise<void> {
    member.state = 'busy';
    task.signal?.removeEventListener('abort', task.dropWaiting);
    clearTimeout(member.idleTimer);
    member.worker.keep(true);
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
    member.worker.keep(false);
    const { idleTimeoutMs } = options;
    if (idleTimeoutMs === undefined) return;
    const idleMs = typeof idleTimeoutMs === 'number' ? idleTimeoutMs : idleTimeoutMs();
    member.idleTimer = setTimeout(() => void endMember(member), idleMs);
    member.idleTimer.unref();
  }

  return {
    call: (request, signal, grant = {}) =>
      new Promise((resolve, reject) => {
        if (stopped) return reject(draining());
        if (signal?.aborted) return reject(signal.reason);
        const dropWaiting = (): void => {
          const position = waiting.indexOf(task);
          if (position < 0) return;
          waiting.splice(position, 1);
          reject(signal?.reason);
        };
        const task: Task<Request, Response> = { request, signal, grant, resolve, reject, dropWaiting };
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

function callMember<Request, Response>(
  worker: WorkerHandle,
  task: Task<Request, Response>,
  options: WorkerPoolOptions<Request>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const limitMs = task.grant.timeoutMs ?? options.callTimeoutMs;
    const deadline = createBusyDeadline({ limitMs, longestMs: limitMs * LONGEST_WAIT, pid: worker.pid }, task.signal);
    const settle = (act: () => void): void => {
      deadline[Symbol.dispose]();
      worker.events.off('message', onMessage);
      worker.events.off('error', onError);
      worker.events.off('exit', onExit);
      deadline.signal.removeEventListener('abort', onAbort);
      act();
    };
    const crash = (cause: unknown): unknown =>
      options.onCrash?.(cause) ??
      new AppError('internal_error', 'A worker thread ended in mid-work.', { cause, retryable: true });
    const onMessage = (reply: WorkerReply<Response>): void =>
      settle(() => (reply.ok ? resolve(reply.value) : reject(fromWire(reply.error))));
    const onError = (error: unknown): void => settle(() => reject(new WorkerFailure(crash(error))));
    const onExit = (code: number | null): void =>
      settle(() => reject(new WorkerFailure(crash(new Error(`exit ${code}`)))));
    const onAbort = (): void => settle(() => reject(new WorkerFailure(deadline.signal.reason)));
    worker.events.on('message', onMessage);
    worker.events.on('error', onError);
    worker.events.on('exit', onExit);
    deadline.signal.addEventListener('abort', onAbort, { once: true });
    worker.post(task.request, options.transferOf?.(task.request) ?? []);
  });
}
