import { AppError, type Clock, type Lifecycle, type Logger } from '../kernel/index.ts';
import { type LeaseRegistry, LIVES } from '../store/index.ts';

const BEAT_MS = 5_000;
/** A process that was not heard of for this long counts as dead: what it had claimed is others' then. */
const DEAD_AFTER_MS = 15_000;
const POLL_MS = 250;
/** Held by a process whose vectors only it can search. */
const ALONE = 'vectors-in-memory';

export interface PresenceOptions {
  readonly leases: Pick<LeaseRegistry, 'processId' | 'acquire' | 'release' | 'live' | 'ofOthers' | 'end' | 'endAll'>;
  /** No other process works on this database: whoever held anything in it is dead. */
  readonly isSole: boolean;
  /** Vectors are in the memory of this process, so that no other may work on the database although it could. */
  readonly isAlone: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Tells other processes that this one lives. To be started before all that claims something in the database. Its start rejects
 * with `configuration_invalid` when this process and one that lives may not work on the database together.
 */
export function createPresence({ leases, isSole, isAlone, clock, logger }: PresenceOptions): Lifecycle {
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();

  /** False: another process holds what this one must have alone. */
  async function beat(): Promise<boolean> {
    const now = clock.now();
    const times = { now, expiresAt: now + DEAD_AFTER_MS };
    await leases.live(times);
    return !isAlone || leases.acquire(ALONE, times);
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

  /**
   * Each says that it is there before it looks for the other: of two that start at once, one sees the other at least. When
   * each sees the other, the one with the higher id gives way as soon as it hears of the other.
   */
  async function refuseOthers(): Promise<void> {
    if (!isAlone) return refuseLiving(ALONE, besideAlone);
    for (let holds = false; !holds; ) {
      holds = await beat();
      await refuseLiving(LIVES, notAlone);
    }
  }

  /**
   * Waits for those that were killed, which nobody hears of any more. One that is heard of again lives; one with a higher id
   * has until the next time to go.
   */
  async function refuseLiving(beginning: string, refusal: () => AppError): Promise<void> {
    const known = new Map<string, { readonly expiresAt: number; readonly heard: number }>();
    for (;;) {
      const others = await leases.ofOthers(beginning, clock.now());
      if (others.length === 0) return;
      for (const { owner, expiresAt } of others) {
        const before = known.get(owner) ?? { expiresAt, heard: 0 };
        const heard = before.heard + (expiresAt > before.expiresAt ? 1 : 0);
        if (heard >= (owner > leases.processId ? 2 : 1)) throw refusal();
        known.set(owner, { expiresAt, heard });
      }
      await clock.sleep(POLL_MS, stopping.signal);
    }
  }

  return {
    name: 'presence',
    async start() {
      if (isSole) await leases.endAll();
      await beat();
      rounds = repeat();
      if (!isSole) await refuseOthers();
    },
    async stop() {
      stopping.abort();
      await rounds;
      if (isAlone) await leases.release(ALONE);
      await leases.end();
    },
  };
}

function notAlone(): AppError {
  return new AppError(
    'configuration_invalid',
    'VECTOR_STORE=embedded keeps vectors in the memory of one process, and another process works on this database: neither would find what the other trains. Set VECTOR_STORE=pgvector, or stop all other processes.',
  );
}

function besideAlone(): AppError {
  return new AppError(
    'configuration_invalid',
    'A process with VECTOR_STORE=embedded works on this database, which only one process may do: it would not find what others train. Start that one again with VECTOR_STORE=pgvector, or stop it.',
  );
}
