import type { Clock, Lifecycle, Logger } from '../kernel/index.ts';
import type { LeaseRegistry } from '../store/index.ts';

const BEAT_MS = 5_000;
/** A process that was not heard of for this long counts as dead: what it had claimed is others' then. */
const DEAD_AFTER_MS = 15_000;

export interface PresenceOptions {
  readonly leases: Pick<LeaseRegistry, 'live' | 'end' | 'endAll'>;
  /** No other process works on this database: whoever held anything in it is dead. */
  readonly isSole: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tells other processes that this one lives. To be started before all that claims something in the database. */
export function createPresence({ leases, isSole, clock, logger }: PresenceOptions): Lifecycle {
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();

  function beat(): Promise<void> {
    const now = clock.now();
    return leases.live({ now, expiresAt: now + DEAD_AFTER_MS });
  }

  async function repeat(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(BEAT_MS, stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
      await beat().catch((error: unknown) =>
        logger.warn({ error }, 'Could not tell other processes that this one lives'),
      );
    }
  }

  return {
    name: 'presence',
    async start() {
      if (isSole) await leases.endAll();
      await beat();
      rounds = repeat();
    },
    async stop() {
      stopping.abort();
      await rounds;
      await leases.end();
    },
  };
}
