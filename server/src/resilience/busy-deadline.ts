import { readFileSync } from 'node:fs';
import { AppError } from '../kernel/index.ts';

export interface BusyLimit {
  /** Processor time, in ms; time by the clock where the processor time is not known. */
  readonly limitMs: number;
  /** Time by the clock at most, in ms. */
  readonly longestMs: number;
  /** The process that works; undefined: a thread, whose processor time is not known. */
  readonly pid: number | undefined;
}

export interface BusyDeadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Who has worked for less between two looks waits for something that does not come, on however busy a machine. */
const LEAST_WORK_MS = 30;
const FIRST_LOOK_MS = 500;
/** A tick of the counters in `/proc`, in ms. */
const TICK_MS = 10;
/** Places of the user and the system time behind the name of the process. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/**
 * A signal that aborts with an AppError `timeout` when a process has worked for `limitMs`, which on a machine with much else
 * to do may be later, but no later than after `longestMs`. A process that waits rather than works is given `limitMs` by the clock.
 */
export function createBusyDeadline({ limitMs, longestMs, pid }: BusyLimit, parent?: AbortSignal): BusyDeadline {
  const controller = new AbortController();
  const beganAt = performance.now();
  /** What it had worked when this began; most calls end before it is looked at. */
  let workedBefore = 0;
  let workedAtLook = 0;
  const onParentAbort = (): void => controller.abort(parent?.reason);
  let timer =
    pid === undefined ? setTimeout(look, limitMs) : setTimeout(lookFirst, Math.min(FIRST_LOOK_MS, limitMs / 2));
  if (parent?.aborted) onParentAbort();
  else parent?.addEventListener('abort', onParentAbort, { once: true });

  function lookFirst(): void {
    const passed = performance.now() - beganAt;
    // A process works on one call at a time; that it worked all the while is close enough.
    workedBefore = workedMs(pid) - passed;
    workedAtLook = passed;
    timer = setTimeout(look, limitMs - passed);
  }

  function look(): void {
    const passed = performance.now() - beganAt;
    const worked = workedMs(pid) - workedBefore;
    const isIdle = worked - workedAtLook < Math.min(LEAST_WORK_MS, limitMs / 2);
    workedAtLook = worked;
    // Not too soon, or a process that is given little looks idle.
    const left = isIdle
      ? 0
      : Math.min(Math.max(limitMs - worked, Math.min(limitMs, FIRST_LOOK_MS)), longestMs - passed);
    if (worked < limitMs && left >= TICK_MS) timer = setTimeout(look, left);
    else expire();
  }

  function expire(): void {
    controller.abort(new AppError('timeout', `Not finished within ${limitMs} ms.`, { retryable: true }));
  }

  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParentAbort);
    },
  };
}

/** What a process has worked since it began, in ms; 0 when that cannot be told (outside of Linux). */
function workedMs(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const counts = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return (Number(counts[USER_TICKS]) + Number(counts[SYSTEM_TICKS])) * TICK_MS;
  } catch {
    return 0;
  }
}
