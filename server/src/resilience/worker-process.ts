import { type ChildProcess, spawn } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

export interface WorkerPlan {
  /** The worker's module: `workerModule(import.meta.url, './x-worker')`. */
  readonly module: URL;
  /** What the worker finds with `workerSettings`; plain JSON for a process. */
  readonly workerData?: unknown;
  readonly resourceLimits?: WorkerOptions['resourceLimits'];
}

/** A thread or a process that answers messages. */
export interface WorkerHandle {
  /** Undefined for a thread. */
  readonly pid: number | undefined;
  /** Tells `message`, `error` (a thread's death) and `exit`. */
  readonly events: EventEmitter;
  post(message: unknown, transfer: readonly ArrayBuffer[]): void;
  /** Whether it keeps the program running. */
  keep(on: boolean): void;
  end(): Promise<unknown>;
}

/** A third of Node's own: every thread has a young generation of its own, and theirs live for milliseconds. */
const YOUNG_GENERATION_MB = 16;

/** A third of the weight of an ordinary process when both want the same processor. */
const NICENESS = 5;

export function startThread(plan: WorkerPlan): WorkerHandle {
  const worker = startWorker(plan);
  return {
    pid: undefined,
    events: worker,
    post: (message, transfer) => worker.postMessage(message, [...transfer]),
    keep: (on) => (on ? worker.ref() : worker.unref()),
    end: () => worker.terminate(),
  };
}

/**
 * A process in the place of a thread, for content that may overflow its heap: V8 ends the whole process then, whatever limits
 * a thread of it was given. It gets no environment, and ends when this process is gone.
 */
export function startProcess({ module, workerData, resourceLimits }: WorkerPlan): WorkerHandle {
  const { maxOldGenerationSizeMb, maxYoungGenerationSizeMb = YOUNG_GENERATION_MB } = resourceLimits ?? {};
  const heap = maxOldGenerationSizeMb === undefined ? [] : [`--max-old-space-size=${maxOldGenerationSizeMb}`];
  // The young generation holds two halves and as much again.
  const options = [...heap, `--max-semi-space-size=${Math.ceil(maxYoungGenerationSizeMb / 3)}`];
  const settings = JSON.stringify(workerData ?? null);
  const entry = isSource(module)
    ? ['--input-type=module', '--eval', importThroughLoader(module), settings]
    : [fileURLToPath(module), settings];
  const child = spawn(process.execPath, [...options, ...entry], {
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
    // A group of its own: what a terminal sends to all of this one (Ctrl-C) is not the end of what it is at.
    detached: true,
    windowsHide: true,
  });
  yieldTo(child);
  child.setMaxListeners(0);
  // One that cannot be started, or is written to after its end, tells by `exit` or by the call's own time.
  child.on('error', () => {});
  return {
    pid: child.pid,
    events: child,
    post: (message) => void child.send(message as object, () => {}),
    keep(on) {
      if (on) child.ref();
      else child.unref();
      if (on) child.channel?.ref();
      else child.channel?.unref();
    },
    end: () => endOf(child),
  };
}

/** Where processors are short, answers go first. Threads that the process starts later take this after it. */
function yieldTo({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, NICENESS);
  } catch {
    // It has ended already, or the system does not know priorities.
  }
}

function endOf(child: ChildProcess): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  child.ref();
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}

/** Starts a worker thread from source or compiled code. For threads that a pool does not fit (many calls in flight). */
export function startWorker({ module, workerData, resourceLimits }: WorkerPlan): Worker {
  const fromSource = isSource(module);
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

/** Run from source (tests), a worker needs the same TypeScript loader; compiled code needs none. */
function isSource(module: URL): boolean {
  return module.pathname.endsWith('.ts');
}

function importThroughLoader(module: URL): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(module.href)}); });`;
}
