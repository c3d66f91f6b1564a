import { createHash, randomUUID } from 'node:crypto';
import type { TaskSettlements } from '../adapters/celery/index.ts';
import type { Clock, Logger } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { DEFAULT_TENANT_ID } from './first-start-names.ts';

const POLL_MS = 200;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

/**
 * What is done once, by rows of the database that processes share. They are claimed as answers to equal requests are: a claim ends with the
 * process that made it, and what was done is known for a day. While the database is away it is asked again until the signal aborts: a claim
 * that nobody takes back would be waited for as long as this process lives.
 */
export function createTaskSettlements(parts: {
  readonly store: Pick<Store, 'forTenant'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): TaskSettlements {
  const { store, clock, logger } = parts;
  /** Of the claims that are made here: one whose answer was lost is known by it. */
  const own = `celery/${randomUUID()}`;
  /** What this process is at. */
  const held = new Set<string>();

  async function surely<Result>(signal: AbortSignal, ask: () => Promise<Result>): Promise<Result> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        if (signal.aborted) throw error;
        logger.warn({ error, attempt: attempt + 1 }, 'What was called after a task cannot be noted; it is tried again');
        await clock.sleep(Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt), signal);
      }
    }
  }

  /** Resolves to the note that is kept; null: another process is at it. */
  async function tryOnce(key: string, what: Parameters<TaskSettlements['once']>[1], signal: AbortSignal) {
    const records = store.forTenant(DEFAULT_TENANT_ID).idempotency;
    const record = await surely(signal, () => records.claim({ key, fingerprint: own, createdAt: clock.now() }));
    if (record?.state === 'done') return record.body ?? what.note;
    if (record !== null && record.fingerprint !== own) return null;
    try {
      await what.act();
    } catch (error) {
      await surely(signal, () => records.release(key));
      throw error;
    }
    await surely(signal, () => records.complete(key, { status: 200, body: what.note }));
    return what.note;
  }

  return {
    async once(name, what, signal) {
      const key = `celery/${createHash('sha256').update(name).digest('hex')}`;
      for (;;) {
        signal.throwIfAborted();
        if (!held.has(key)) {
          held.add(key);
          const note = await tryOnce(key, what, signal).finally(() => held.delete(key));
          if (note !== null) return note;
        }
        await clock.sleep(POLL_MS, signal);
      }
    },
  };
}
