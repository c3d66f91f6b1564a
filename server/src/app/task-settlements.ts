import { createHash } from 'node:crypto';
import type { TaskSettlements } from '../adapters/celery/index.ts';
import type { Clock } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { DEFAULT_TENANT_ID } from './first-start-names.ts';

const POLL_MS = 200;

/**
 * What is done once, by rows of the database that processes share. They are claimed as answers to equal requests are: a claim ends with the
 * process that made it, and what was done is known for a day. Only a name and its state are kept.
 */
export function createTaskSettlements(parts: {
  readonly store: Pick<Store, 'forTenant'>;
  readonly clock: Clock;
}): TaskSettlements {
  const { store, clock } = parts;
  /** Done, and not written down: the database went away in between. */
  const unwritten = new Set<string>();

  return {
    async once(name, act, signal) {
      const records = store.forTenant(DEFAULT_TENANT_ID).idempotency;
      const key = `celery/${createHash('sha256').update(name).digest('hex')}`;
      while (!unwritten.has(key)) {
        signal.throwIfAborted();
        const record = await records.claim({ key, fingerprint: 'celery', createdAt: clock.now() });
        if (record?.state === 'done') return;
        if (record === null) {
          await act().catch(async (error: unknown) => {
            await records.release(key).catch(() => {});
            throw error;
          });
          unwritten.add(key);
        } else {
          await clock.sleep(POLL_MS, signal);
        }
      }
      await records.complete(key, { status: 200, body: '' });
      unwritten.delete(key);
    },
  };
}
