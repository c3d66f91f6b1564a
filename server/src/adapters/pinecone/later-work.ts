import { type Clock, type Logger, toAppError } from '../../kernel/index.ts';
import { createSlots } from './slots.ts';

/** Work that must be done in the end, and that nobody waits for. Done again after a failure, ever later. */
export interface LaterWork {
  /** Begins after a pause. Work that waits under this key stands for both; work that runs is done once more. */
  add(task: LaterTask): void;
  stop(): Promise<void>;
}

interface LaterTask {
  readonly key: string;
  /** As it stands in the log: "... failed". */
  readonly what: string;
  readonly afterMs: number;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

interface Task {
  /** Work to be done that no run has begun with. */
  isWanted: boolean;
  done: Promise<void>;
}

const AT_ONCE = 2;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 600_000;

export function createLaterWork({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }): LaterWork {
  const stopping = new AbortController();
  const tasks = new Map<string, Task>();
  const slots = createSlots(AT_ONCE);

  async function untilDone(task: Task, { what, afterMs, run, key }: LaterTask): Promise<void> {
    try {
      await clock.sleep(afterMs, stopping.signal);
      let pauseMs = FIRST_PAUSE_MS;
      while (task.isWanted) {
        try {
          await slots.run(async () => {
            stopping.signal.throwIfAborted();
            // What is asked for from here on may come too late for this run.
            task.isWanted = false;
            await run(stopping.signal);
          });
          pauseMs = FIRST_PAUSE_MS;
        } catch (error) {
          stopping.signal.throwIfAborted();
          task.isWanted = true;
          logger.warn({ code: toAppError(error).code, err: error, pauseMs }, `${what} failed; it will be tried again`);
          await clock.sleep(pauseMs, stopping.signal);
          pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
        }
      }
    } catch {
      // Stopped: the next start looks for what is missing.
    } finally {
      tasks.delete(key);
    }
  }

  return {
    add(task) {
      if (stopping.signal.aborted) return;
      const known = tasks.get(task.key);
      if (known !== undefined) known.isWanted = true;
      else {
        const added: Task = { isWanted: true, done: Promise.resolve() };
        tasks.set(task.key, added);
        added.done = untilDone(added, task);
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all([...tasks.values()].map(({ done }) => done));
    },
  };
}
