import type { Lifecycle, Logger } from '../kernel/index.ts';

/**
 * Starts parts in order and stops them in reverse. When a start fails, what was started is stopped again and the
 * failure passed on; when stops fail, the others are stopped all the same and the failures logged.
 */
export function createLifecycle(parts: readonly Lifecycle[], logger: Logger): Lifecycle {
  const started: Lifecycle[] = [];
  async function stop(): Promise<void> {
    for (const part of started.splice(0).reverse()) {
      try {
        await part.stop();
      } catch (error) {
        logger.error({ part: part.name, error }, 'a part did not stop cleanly');
      }
    }
  }
  return {
    name: 'all',
    async start() {
      for (const part of parts) {
        try {
          started.push(part);
          await part.start();
        } catch (error) {
          await stop();
          throw error;
        }
      }
    },
    stop,
  };
}
