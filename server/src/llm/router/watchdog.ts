import type { Clock } from '../../kernel/index.ts';

export interface Watchdog extends Disposable {
  /** Barks at `at` (milliseconds since 1970) unless armed anew or disposed before. */
  arm(at: number, bark: () => void): void;
}

/** A deadline that may be moved once a token at little cost: moving it later does not touch the running timer. */
export function createWatchdog(clock: Clock): Watchdog {
  let armed: { readonly at: number; readonly bark: () => void } | null = null;
  let sleep = new AbortController();
  let wakesAt = Number.POSITIVE_INFINITY;

  async function sleepUntil(at: number, signal: AbortSignal): Promise<void> {
    wakesAt = at;
    try {
      await clock.sleep(Math.max(0, at - clock.now()), signal);
    } catch {
      return;
    }
    wakesAt = Number.POSITIVE_INFINITY;
    if (armed === null) return;
    if (clock.now() < armed.at) return sleepUntil(armed.at, signal);
    const { bark } = armed;
    armed = null;
    bark();
  }

  return {
    arm(at, bark) {
      armed = { at, bark };
      if (at >= wakesAt) return;
      sleep.abort();
      sleep = new AbortController();
      void sleepUntil(at, sleep.signal);
    },
    [Symbol.dispose]() {
      armed = null;
      sleep.abort();
    },
  };
}
