import type { StageContext, StageResult } from '../../jobs/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { Generation, Store, TenantRepositories, TenantStore } from '../../store/index.ts';
import type { Namespace } from '../../vector-store/index.ts';
import { botOf } from '../pipeline/training-work.ts';
import { keyOf } from './bot-indexes.ts';
import { GENERATION_PRIORITY, type GenerationStage, generationIdOf } from './generation-job.ts';

/** One job's work on its generation. */
export interface GenerationWork {
  readonly context: StageContext;
  readonly tenant: TenantStore;
  readonly botId: string;
  readonly generation: Generation;
  readonly namespace: Namespace;
}

/** Null when the generation, or the bot, is gone. */
export async function workOf(
  context: StageContext,
  { store }: { readonly store: Pick<Store, 'forTenant'> },
): Promise<GenerationWork | null> {
  const { tenantId, botId } = botOf(context.job);
  const tenant = store.forTenant(tenantId);
  const generation = await tenant.generations.get(botId, generationIdOf(context.job));
  if (generation === null) return null;
  if (generation.jobId !== context.job.id)
    throw new AppError('job_cancelled', 'A newer job has taken the generation over.');
  return { context, tenant, botId, generation, namespace: { tenantId, botId, generation: keyOf(generation) } };
}

export function next(stage: GenerationStage): StageResult {
  return { type: 'next-stage', stage, priority: GENERATION_PRIORITY };
}

/** Changes the generation under the job's lease, unless it was given up or handed to another job meanwhile. */
export function change<Result>(
  { tenant, context, generation }: GenerationWork,
  work: (repositories: TenantRepositories, current: Generation) => Promise<Result>,
): Promise<Result> {
  return tenant.fencedTransaction(context.lease, async (repositories) => {
    const current = await repositories.generations.get(generation.botId, generation.id);
    if (current?.jobId === context.job.id) return work(repositories, current);
    throw new AppError('job_cancelled', 'The generation was deleted.');
  });
}
