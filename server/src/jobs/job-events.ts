import { randomUUID } from 'node:crypto';
import { AppError, type Clock } from '../kernel/index.ts';
import type { MessageBus } from '../resilience/index.ts';
import type { Job } from '../store/index.ts';
import { hasEnded } from './job-state.ts';
import type { JobStore } from './job-store.ts';
import type { JobEvents } from './ports.ts';

export interface JobEventsOptions {
  readonly store: Pick<JobStore, 'forTenant'>;
  readonly clock: Clock;
  /** Tells other processes that a job has changed; without it they see that by reading. */
  readonly bus?: MessageBus;
  /** How often a watched job is read again, for changes that another process made. */
  readonly pollMs?: number;
  /** How many changes a slow watcher may lag behind; the oldest beyond that are left out. */
  readonly maxLag?: number;
}

interface Watcher {
  readonly pending: Job[];
  wake(): void;
}

const TOPIC = 'jobs.changed';

/**
 * News of jobs within this process as it happens, and of those run elsewhere as soon as the bus tells; what it loses is
 * seen by reading the row every few seconds.
 */
export function createJobEvents({ store, clock, bus, pollMs = 2_000, maxLag = 64 }: JobEventsOptions): JobEvents {
  const watchers = new Map<string, Set<Watcher>>();
  const self = randomUUID();
  bus?.subscribe(TOPIC, {
    message(text) {
      const [sender, jobId = ''] = text.split(' ');
      if (sender === self) return;
      for (const watcher of watchers.get(jobId) ?? []) watcher.wake();
    },
    gap() {
      for (const watching of watchers.values()) for (const watcher of watching) watcher.wake();
    },
  });

  function publish(job: Job): void {
    for (const watcher of watchers.get(job.id) ?? []) {
      watcher.pending.push(job);
      if (watcher.pending.length > maxLag) watcher.pending.shift();
      watcher.wake();
    }
    bus?.publish(TOPIC, `${self} ${job.id}`);
  }

  async function* watch(tenantId: string, jobId: string, signal: AbortSignal): AsyncGenerator<Job> {
    const alarm = createAlarm(clock);
    const watcher: Watcher = { pending: [], wake: alarm.ring };
    add(jobId, watcher);
    signal.addEventListener('abort', alarm.ring);
    try {
      let last: Job | null = null;
      while (!signal.aborted) {
        const row: Job | null = await store.forTenant(tenantId).jobs.get(jobId);
        if (row === null && last === null) throw jobNotFound();
        // What was published meanwhile may be older or newer than the row: each is taken only if it moves time on.
        for (const job of [...watcher.pending.splice(0), row]) {
          if (job === null || job.tenantId !== tenantId || !isNews(job, last)) continue;
          last = job;
          yield job;
        }
        if (row === null || (last !== null && hasEnded(last))) return;
        await alarm.wait(pollMs);
      }
    } finally {
      signal.removeEventListener('abort', alarm.ring);
      remove(jobId, watcher);
    }
  }

  function add(jobId: string, watcher: Watcher): void {
    const watching = watchers.get(jobId) ?? new Set();
    watchers.set(jobId, watching.add(watcher));
  }

  function remove(jobId: string, watcher: Watcher): void {
    const watching = watchers.get(jobId);
    watching?.delete(watcher);
    if (watching?.size === 0) watchers.delete(jobId);
  }

  return { publish, watch };
}

function isNews(job: Job, last: Job | null): boolean {
  if (last === null) return true;
  if (job.updatedAt < last.updatedAt) return false;
  return newsOf(job) !== newsOf(last);
}

/** What a watcher can see of a job. */
function newsOf(job: Job): string {
  const { state, stage, progress, attempts, cancelRequested, lastError, runAt } = job;
  return JSON.stringify([state, stage, progress, attempts, cancelRequested, lastError, runAt]);
}

/** A sleep that can be cut short; a ring that nobody waits for cuts the next one short. */
function createAlarm(clock: Clock) {
  let rung = new AbortController();
  return {
    ring: () => rung.abort(),
    async wait(milliseconds: number): Promise<void> {
      await clock.sleep(milliseconds, rung.signal).catch(() => {});
      rung = new AbortController();
    },
  };
}

function jobNotFound(): AppError {
  return new AppError('job_not_found', 'There is no such job.');
}
