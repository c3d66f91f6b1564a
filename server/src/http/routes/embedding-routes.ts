import type { EmbeddingUse } from '../../chat/index.ts';
import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import { AppError, toAppError } from '../../kernel/index.ts';
import { embeddingsBody, wireEmbeddings } from '../contract/index.ts';
import { recordEmbedding } from '../embedding-usage.ts';
import type { HttpParts } from '../http-app-options.ts';
import { principalOf, signalOfClient } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const OPENAI = 'openai/';

/** OpenAI's embeddings, by the embedder of this server. */
export function addEmbeddingRoutes(app: ZodApp, parts: HttpParts): void {
  const { embeddings, clock } = parts;

  app.post(
    '/v1/embeddings',
    {
      bodyLimit: parts.limits.bodyBytes,
      schema: { summary: 'Embed texts', tags: ['Embeddings'], body: embeddingsBody, response: { 200: wireEmbeddings } },
    },
    async (request, reply) => {
      const { input, model, dimensions, encoding_format: format } = request.body;
      requireEmbedder(embeddings, model);
      requireDimensions(embeddings, dimensions);
      const { user } = request.body;
      const startedAt = clock.now();
      const signal = signalOfClient(reply);
      const record = (use: Pick<EmbeddingUse, 'inputTokens' | 'outcome' | 'errorCode'>): void =>
        recordEmbedding(parts, principalOf(request), {
          botId: null,
          endUser: user ?? null,
          requests: 1,
          use: { model: embeddings.profile.id, durationMs: clock.now() - startedAt, ...use },
        });
      const { vectors, inputTokens } = await embeddings
        .embed([input].flat(), {
          purpose: 'document',
          signal,
          ...(typeof dimensions === 'number' ? { dimensions } : {}),
        })
        .catch((error: unknown) => {
          const outcome = signal.aborted ? 'cancelled' : 'failed';
          record({ inputTokens: 0, outcome, errorCode: outcome === 'failed' ? toAppError(error).code : null });
          throw error;
        });
      request.usedTokens = inputTokens;
      record({ inputTokens, outcome: 'ok', errorCode: null });
      return {
        object: 'list' as const,
        data: vectors.map((vector, index) => ({
          object: 'embedding' as const,
          index,
          embedding: format === 'base64' ? toBase64(vector) : [...vector],
        })),
        model,
        usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
      };
    },
  );
}

/** Whether a client may call the embedder by this name: its id, or OpenAI's own name for one of theirs. */
export function isEmbedder({ profile }: EmbeddingGenerator, model: string): boolean {
  return model === profile.id || (profile.id.startsWith(OPENAI) && model === profile.id.slice(OPENAI.length));
}

function requireEmbedder(embeddings: EmbeddingGenerator, model: string): void {
  if (isEmbedder(embeddings, model)) return;
  throw new AppError('model_not_found', `model: This server embeds with "${embeddings.profile.id}".`, {
    param: 'model',
  });
}

function requireDimensions({ profile }: EmbeddingGenerator, dimensions: number | null | undefined): void {
  if (typeof dimensions !== 'number' || dimensions <= profile.dimensions) return;
  const message = `dimensions: This embedder gives at most ${profile.dimensions} dimensions.`;
  throw new AppError('invalid_request', message, { param: 'dimensions' });
}

/** Float32, little endian, as OpenAI sends it. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}
