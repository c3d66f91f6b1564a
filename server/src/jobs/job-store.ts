import type { JobClaims, JobRepository, WorkerRegistry } from '../store/index.ts';

/** What this room needs of the store; the `Store` port has it. */
export interface JobStore {
  forTenant(tenantId: string): { readonly jobs: Pick<JobRepository, 'get'> };
  readonly system: {
    readonly jobs: JobClaims;
    readonly workers: Pick<WorkerRegistry, 'beat' | 'remove' | 'removeUnseen'>;
  };
}
