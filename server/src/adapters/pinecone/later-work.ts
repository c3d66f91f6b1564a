import { type Clock, type Logger, toAppError } from '../../kernel/index.ts';

/** Work that must be done in the end, and that nobody waits for. Done again after a failure, ever later. */
export interface LaterWork {
  /** Begins after a pause. Work that already waits under this key stands for both. */
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

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 600_000;

export function createLaterWork({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }): LaterWork {
  const stopping = new AbortController();
  const tasks = new Map<string, Promise<void>>();
  let turn: Promise<void> = Promise.resolve();

  /** One task at a time: there is no hurry. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  async function untilDone({ what, afterMs, run, key }: LaterTask): Promise<void> {
    try {
      await clock.sleep(afterMs, stopping.signal);
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
        try {
          await inTurn(() => run(stopping.signal));
          return;
        } catch (error) {
          stopping.signal.throwIfAborted();
          logger.warn({ code: toAppError(error).code, err: error, pauseMs }, `${what} failed; it will be tried again`);
          await clock.sleep(pauseMs, stopping.signal);
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
      if (!stopping.signal.aborted && !tasks.has(task.key)) tasks.set(task.key, untilDone(task));
    },
    async stop() {
      stopping.abort();
      await Promise.all(tasks.values());
    },
  };
}
