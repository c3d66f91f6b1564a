import { type Clock, toAppError } from '../../kernel/index.ts';
import type { SearchRequest, SearchSpace } from '../ports.ts';
import { withinTime } from './time-limit.ts';

/** A query's vector from an embedder in this process, and from one behind a network. */
const LOCAL_EMBEDDING_LIMIT_MS = 250;
const REMOTE_EMBEDDING_LIMIT_MS = 1500;

/** The query's vector in a space, within the time that a search has for it; calls to remote embedders are told of. */
export async function embedQuery(
  clock: Clock,
  { embeddings, patienceMs }: SearchSpace,
  {
    query,
    signal,
    onEmbedding,
  }: {
    readonly query: string;
    readonly signal: AbortSignal | undefined;
    readonly onEmbedding: SearchRequest['onEmbedding'];
  },
): Promise<Float32Array | undefined> {
  const { id: model, local } = embeddings.profile;
  const milliseconds = patienceMs ?? (local ? LOCAL_EMBEDDING_LIMIT_MS : REMOTE_EMBEDDING_LIMIT_MS);
  const startedAt = clock.now();
  const call = () => ({ model, text: query, durationMs: clock.now() - startedAt });
  try {
    const embedded = await withinTime({ clock, milliseconds, signal }, (within) =>
      embeddings.embed([query], { purpose: 'query', signal: within }),
    );
    if (!local && embedded.fromMemory !== true) {
      const inputTokens = embedded.inputTokens > 0 ? embedded.inputTokens : null;
      onEmbedding?.({ ...call(), inputTokens, outcome: 'ok', errorCode: null });
    }
    return embedded.vectors[0];
  } catch (error) {
    if (!local) {
      const outcome = signal?.aborted ? 'cancelled' : 'failed';
      const errorCode = outcome === 'failed' ? toAppError(error).code : null;
      onEmbedding?.({ ...call(), inputTokens: 0, outcome, errorCode });
    }
    throw error;
  }
}
