import type { Job } from '../store/index.ts';

/** Whether the job has reached a state that it only leaves by being retried. */
export function hasEnded(job: Job): boolean {
  return job.state === 'succeeded' || job.state === 'failed' || job.state === 'cancelled';
}
