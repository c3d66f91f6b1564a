import type { JobHandler, StageContext, StageResult } from '../../jobs/index.ts';
import type { Clock } from '../../kernel/index.ts';
import type { Job } from '../../store/index.ts';

const QUIET_MS = 300;
const LONGEST_WAIT_MS = 20_000;

/** Whether anything is being trained in this process. */
export interface TrainingActivity {
  /** The same handler, whose stages are counted. */
  watched(handler: JobHandler, watcher: TrainingWatcher): JobHandler;
  /** Resolves when nothing has been trained for a moment, and after 20 s at the latest. Rejects when aborted. */
  quiet(signal: AbortSignal): Promise<void>;
}

export interface TrainingWatcher {
  /** Awaited before the stage that makes vectors. Must not reject. */
  onEmbedding(context: StageContext): Promise<void>;
  /** The job has ended well. */
  onTrained(job: Job): void;
}

export function createTrainingActivity(clock: Clock): TrainingActivity {
  let running = 0;
  let endedAt = Number.NEGATIVE_INFINITY;

  async function counted(stage: (context: StageContext) => Promise<StageResult>, context: StageContext) {
    running += 1;
    try {
      return await stage(context);
    } finally {
      running -= 1;
      endedAt = clock.now();
    }
  }

  return {
    watched(handler, watcher) {
      const stages = Object.entries(handler.stages).map(([name, stage]) => {
        const watchedStage = async (context: StageContext): Promise<StageResult> => {
          if (name === 'embedding') await watcher.onEmbedding(context);
          const result = await counted(stage, context);
          if (result.type === 'succeeded') watcher.onTrained(context.job);
          return result;
        };
        return [name, watchedStage] as const;
      });
      return { ...handler, stages: Object.fromEntries(stages) };
    },
    async quiet(signal) {
      const startedAt = clock.now();
      while (clock.now() - startedAt < LONGEST_WAIT_MS) {
        signal.throwIfAborted();
        if (running === 0 && clock.now() - endedAt >= QUIET_MS) return;
        await clock.sleep(QUIET_MS / 3, signal);
      }
    },
  };
}
