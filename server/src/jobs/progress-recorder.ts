import type { Clock } from '../kernel/index.ts';
import type { Job } from '../store/index.ts';

export interface ProgressRecorderOptions {
  /** Where the job stood when the run began. */
  readonly initial: Job['progress'];
  /** Writes progress durably; false when that was not possible. Must not reject. */
  write(progress: Job['progress']): Promise<boolean>;
  readonly clock: Clock;
  /** Writes are at least this far apart, in milliseconds. That all is done is left to the end of the run. */
  readonly everyMs: number;
}

export interface ProgressRecorder {
  report(done: number, total: number): void;
  /** Writes what was reported and not written yet. */
  flush(): Promise<void>;
  /** What was reported and not written, once no write is under way. */
  unwritten(): Promise<Job['progress'] | null>;
  /** Whether the run has got further than its job had before. */
  hasAdvanced(): boolean;
}

/** Turns a stage's stream of progress reports into few writes, one at a time, the latest winning. */
export function createProgressRecorder(options: ProgressRecorderOptions): ProgressRecorder {
  const { initial, write, clock, everyMs } = options;
  let reported: Job['progress'] | null = null;
  let writing: Promise<void> | null = null;
  let writtenAt = Number.NEGATIVE_INFINITY;
  let furthest = initial.done;

  function report(done: number, total: number): void {
    reported = { done: wholeNumber(done), total: wholeNumber(total) };
    const finished = reported.done >= reported.total;
    if (writing === null && !finished && clock.now() - writtenAt >= everyMs) writing = writeReported(reported);
  }

  async function writeReported(progress: Job['progress']): Promise<void> {
    reported = null;
    writtenAt = clock.now();
    if (await write(progress)) furthest = Math.max(furthest, progress.done);
    writing = null;
  }

  async function flush(): Promise<void> {
    await writing;
    if (reported !== null) writing = writeReported(reported);
    await writing;
  }

  async function unwritten(): Promise<Job['progress'] | null> {
    await writing;
    return reported;
  }

  return { report, flush, unwritten, hasAdvanced: () => furthest > initial.done };
}

function wholeNumber(value: number): number {
  return Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : 0;
}
