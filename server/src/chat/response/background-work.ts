import type { Logger } from '../../kernel/index.ts';

/** Work that nobody waits for, but that must not be lost when the process stops in good order. */
export interface BackgroundWork {
  /** A failure is logged under the given name. */
  add(name: string, work: Promise<unknown>): void;
  /** Resolves once nothing is left. */
  drain(): Promise<void>;
}

export function createBackgroundWork(logger: Logger): BackgroundWork {
  const running = new Set<Promise<void>>();
  return {
    add(name, work) {
      const watched: Promise<void> = work
        .then(
          () => {},
          (err: unknown) => logger.error({ work: name, err }, 'background work failed'),
        )
        .finally(() => running.delete(watched));
      running.add(watched);
    },
    async drain() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
