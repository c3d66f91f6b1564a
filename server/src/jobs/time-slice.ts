import type { Clock, Logger } from '../kernel/index.ts';

export interface TimeSliceOptions {
  readonly sliceMs: number;
  /** Whether a job could run that does not. */
  othersWait(): Promise<boolean>;
  /** Aborts when the run is over. */
  readonly ended: AbortSignal;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tells a stage when to make room: once it has had its time and somebody waits. */
export function createTimeSlice(options: TimeSliceOptions): { start(): Promise<void>; isOver(): boolean } {
  const { clock, logger, ended } = options;
  let over = false;

  async function start(): Promise<void> {
    while (!over) {
      try {
        await clock.sleep(options.sliceMs, ended);
      } catch {
        return;
      }
      try {
        over = await options.othersWait();
      } catch (error) {
        logger.warn({ error }, 'Could not ask whether jobs wait; the stage goes on');
      }
    }
  }

  return { start, isOver: () => over };
}
