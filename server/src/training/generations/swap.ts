import type { IdMaker } from '../../kernel/index.ts';
import type { Generation, TenantRepositories } from '../../store/index.ts';
import { keyOf } from './bot-indexes.ts';
import { newGenerationJob } from './generation-job.ts';

export interface SwapOptions {
  readonly createId: IdMaker;
  readonly now: number;
}

/** Whether every chunk of the bot has its vectors in the generation, and every document is cut as it wants. */
export async function isComplete(
  { documents, chunks }: Pick<TenantRepositories, 'documents' | 'chunks'>,
  generation: Generation,
): Promise<boolean> {
  const { botId, chunkSet } = generation;
  const [uncut, unembedded] = await Promise.all([
    documents.withoutChunkSet({ botId, chunkSet }, 1),
    chunks.withoutVectorsOfBot(botId, keyOf(generation), 1),
  ]);
  return uncut.length === 0 && unembedded.length === 0;
}

/**
 * Lets the generation answer from now on. To be run in a transaction, which is the swap: a search sees either the one
 * before or this one. The one before is kept; the one before that is removed by the jobs whose ids are returned.
 */
export async function swapTo(
  repositories: Pick<TenantRepositories, 'bots' | 'generations' | 'jobs'>,
  next: Generation,
  options: SwapOptions,
): Promise<readonly string[]> {
  const { generations } = repositories;
  const { now } = options;
  const others = (await generations.inStates(next.botId, ['active', 'retired'])).filter(({ id }) => id !== next.id);
  const jobs: string[] = [];
  for (const other of others) {
    if (other.state.type === 'retired') jobs.push(await startRemoval(repositories, other, options));
    else await generations.update(other.id, { state: { type: 'retired', at: now }, updatedAt: now });
  }
  await generations.update(next.id, { state: { type: 'active', at: now }, updatedAt: now });
  // What is added from now on, and what the bot is shown with, is cut as what answers.
  await repositories.bots.update(next.botId, { chunking: next.chunking, updatedAt: now });
  return jobs;
}

/** Marks a generation as going, with the job that deletes its content in small steps. Returns the job's id. */
export async function startRemoval(
  { generations, jobs }: Pick<TenantRepositories, 'generations' | 'jobs'>,
  generation: Generation,
  { createId, now }: SwapOptions,
): Promise<string> {
  if (generation.jobId !== null) await jobs.requestCancel(generation.jobId, now);
  const job = newGenerationJob(generation, 'removing', { createId, now });
  await jobs.create(job);
  await generations.update(generation.id, { state: { type: 'removing', at: now }, jobId: job.id, updatedAt: now });
  return job.id;
}

/**
 * A job that completes the generation, unless one is at it already. Returns its id when it is new. `notBefore` lets what is
 * trained one after the other be completed together.
 */
export async function startCompletion(
  { generations, jobs }: Pick<TenantRepositories, 'generations' | 'jobs'>,
  generation: Generation,
  { createId, now, notBefore = now }: SwapOptions & { readonly notBefore?: number },
): Promise<string | null> {
  const current = generation.jobId === null ? null : await jobs.get(generation.jobId);
  if (current?.state === 'queued' || current?.state === 'running') return null;
  const job = { ...newGenerationJob(generation, 'chunking', { createId, now }), runAt: notBefore };
  await jobs.create(job);
  await generations.update(generation.id, { jobId: job.id, updatedAt: now });
  return job.id;
}
