import type { Clock } from '../../kernel/index.ts';

/** Spaces calls to one host, whichever crawl makes them. */
export interface HostTurns {
  /** Waits until the host may be called again. */
  take(origin: string, delayMs: number, signal: AbortSignal): Promise<void>;
  /** Leaves the host alone for a while, as it asked. */
  rest(origin: string, milliseconds: number): void;
}

const MOST_HOSTS = 10_000;

export function createHostTurns(clock: Clock): HostTurns {
  const freeAt = new Map<string, number>();

  function forgetPast(now: number): void {
    if (freeAt.size < MOST_HOSTS) return;
    for (const [origin, time] of freeAt) if (time <= now) freeAt.delete(origin);
  }

  return {
    async take(origin, delayMs, signal) {
      const now = clock.now();
      const at = Math.max(now, freeAt.get(origin) ?? 0);
      forgetPast(now);
      freeAt.set(origin, at + delayMs);
      if (at > now) await clock.sleep(at - now, signal);
    },
    rest(origin, milliseconds) {
      freeAt.set(origin, Math.max(freeAt.get(origin) ?? 0, clock.now() + milliseconds));
    },
  };
}
