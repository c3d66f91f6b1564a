import type { Clock, Lifecycle, Logger } from '../kernel/index.ts';
import type { LeaseRegistry } from '../store/index.ts';
import { createLifecycle } from './lifecycle.ts';

const NAME = 'keeper';
const LEASE_MS = 15_000;
const BEAT_MS = 5_000;

export interface KeeperOptions {
  readonly leases: Pick<LeaseRegistry, 'acquire' | 'release'>;
  /** Makes what only one process at a time does, anew for each time that this one has the turn. */
  readonly makeDuties: () => readonly Lifecycle[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Has the duties of the house done by one process at a time. Whoever has the lease does them; when it dies, another takes
 * them over within 20 seconds, and when it stops, within five.
 */
export function createKeeper({ leases, makeDuties, clock, logger }: KeeperOptions): Lifecycle {
  const stopping = new AbortController();
  let rounds: Promise<void> = Promise.resolve();
  let duties: Lifecycle | null = null;
  let begun: Promise<void> = Promise.resolve();
  let heldUntil = 0;

  async function beat(): Promise<void> {
    const now = clock.now();
    const expiresAt = now + LEASE_MS;
    if (!(await leases.acquire(NAME, { now, expiresAt }))) return leave();
    heldUntil = expiresAt;
    if (duties !== null) return;
    const own = createLifecycle(makeDuties(), logger);
    duties = own;
    begun = own.start().catch((error: unknown) => {
      logger.warn({ error }, 'The duties of the house could not be begun; will try again');
      if (duties === own) duties = null;
    });
  }

  async function leave(): Promise<void> {
    const own = duties;
    duties = null;
    await begun;
    await own?.stop();
  }

  async function round(): Promise<void> {
    try {
      await beat();
    } catch (error) {
      logger.warn({ error }, 'Could not see whose turn it is to keep the house; will try again');
      if (duties !== null && clock.now() + BEAT_MS >= heldUntil) await leave();
    }
  }

  async function repeat(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(BEAT_MS, stopping.signal).catch(() => {});
      if (!stopping.signal.aborted) await round();
    }
  }

  return {
    name: 'keeper',
    async start() {
      await round();
      rounds = repeat();
      await begun;
    },
    async stop() {
      stopping.abort();
      await rounds;
      await leave();
      await leases.release(NAME);
    },
  };
}
