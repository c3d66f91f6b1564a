import type { StageResult } from '../../jobs/index.ts';
import type { Generation, TenantRepositories } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { keyOf } from './bot-indexes.ts';
import { change, type GenerationWork } from './generation-work.ts';

/** Rows deleted in one transaction: other writers wait for it. */
const ROWS_AT_ONCE = 500;

/**
 * Deletes, in small steps, what no other generation of the bot needs: the chunks when no other is cut in this way, else
 * the vectors when no other has this embedder, too. The row goes last.
 */
export async function removeContent(
  work: GenerationWork,
  { vectors }: { readonly vectors: Pick<VectorStore, 'deleteNamespace'> },
): Promise<StageResult> {
  for (;;) {
    work.context.signal.throwIfAborted();
    const removed = await change(work, removeSome);
    if (removed > 0 && work.context.sliceOver()) return { type: 'yielded' };
    if (removed > 0) continue;
    await vectors.deleteNamespace(work.namespace);
    await change(work, ({ generations }, { id }) => generations.delete(id));
    return { type: 'succeeded' };
  }
}

async function removeSome({ generations }: TenantRepositories, generation: Generation): Promise<number> {
  const { botId, chunkSet, id } = generation;
  const kept = (await generations.inStates(botId, ['building', 'ready', 'active', 'retired'])).filter(
    (one) => one.id !== id,
  );
  const key = keyOf(generation);
  if (!kept.some((other) => other.chunkSet === chunkSet))
    return generations.removeChunks(botId, chunkSet, ROWS_AT_ONCE);
  return kept.some((other) => keyOf(other) === key) ? 0 : generations.removeVectors(botId, key, ROWS_AT_ONCE);
}
