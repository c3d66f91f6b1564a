import { serveWorkerCalls } from '../../resilience/index.ts';
import { createPieceTokenizer } from './piece-tokenizer.ts';
import { createUseLiteNetwork } from './use-lite-network.ts';
import { openUseLiteFiles } from './use-lite-weights.ts';

/** Texts that each hold something to read. */
export interface UseLiteRequest {
  readonly texts: readonly string[];
}

/** The vectors one after the other. */
export type UseLiteResponse = Float32Array<ArrayBuffer>;

const files = openUseLiteFiles();
const tokenizer = createPieceTokenizer(files.vocabulary);
const network = createUseLiteNetwork(files);

serveWorkerCalls<UseLiteRequest, UseLiteResponse>(
  ({ texts }) => network.embed(texts.map(tokenizer.encode)),
  (vectors) => [vectors.buffer],
);
