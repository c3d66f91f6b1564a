import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import { AppError } from '../../kernel/index.ts';
import { embeddingsBody, wireEmbeddings } from '../contract/index.ts';
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
      const startedAt = clock.now();
      const { vectors, inputTokens } = await embeddings.embed([input].flat(), {
        purpose: 'document',
        signal: signalOfClient(reply),
        ...(typeof dimensions === 'number' ? { dimensions } : {}),
      });
      request.usedTokens = inputTokens;
      await recordUsage({ ...principalOf(request), inputTokens, durationMs: clock.now() - startedAt });
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

  interface Used {
    readonly tenantId: string;
    readonly keyId: string | null;
    readonly inputTokens: number;
    readonly durationMs: number;
  }

  /** The vectors are paid for: an answer is given even when the row cannot be written. */
  async function recordUsage({ tenantId, keyId, inputTokens, durationMs }: Used): Promise<void> {
    const row = {
      id: parts.createId('req'),
      botId: null,
      keyId,
      endUser: null,
      conversationId: null,
      kind: 'embedding' as const,
      model: embeddings.profile.id,
      inputTokens,
      outputTokens: 0,
      outcome: 'ok' as const,
      durationMs,
      createdAt: clock.now(),
    };
    try {
      await parts.store.forTenant(tenantId).usage.add([row]);
    } catch (error) {
      parts.logger.error({ error }, 'The use of an embedder could not be recorded');
    }
  }
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
