import type { Embedder, EmbedderProfile, EmbeddingResult } from '../../embeddings/index.ts';
import { AppError, createDeadline, type JsonObject } from '../../kernel/index.ts';
import { countOrZero, field, interrupted, invalidResponse, items, readJsonBody } from '../../llm/index.ts';
import { toFailure } from './chat-chunk.ts';
import { createOpenAiClient, type OpenAiClient, type OpenAiConnection } from './openai-client.ts';

export interface OpenAiEmbedderOptions extends OpenAiConnection {
  /** As the provider spells it. */
  readonly model: string;
  /** Width of the vectors. Default: what is known of the model, else asked for by one call at start. */
  readonly dimensions?: number;
  /** First part of the embedder's id. Default `openai`. */
  readonly provider?: string;
  /** Most milliseconds for one call. Default 60,000. */
  readonly requestTimeoutMs?: number;
}

const NATIVE_DIMENSIONS: Readonly<Record<string, number>> = {
  'text-embedding-ada-002': 1536,
  'text-embedding-3-small': 1536,
  'text-embedding-3-large': 3072,
};

/** Models that cut their vectors down on request. */
const SHORTENING_MODEL = /^text-embedding-3-/;

const MAX_TEXTS_PER_CALL = 256;
/** OpenAI takes 300,000 tokens a request; a UTF-16 unit is a token at most in all but rare scripts. */
const MAX_UNITS_PER_REQUEST = 300_000;
const LARGEST_RESPONSE_BYTES = 64 * 1024 * 1024;

/**
 * An embedder behind OpenAI's embeddings API, at OpenAI or any server that speaks it. Texts without anything to embed
 * are not sent and get a zero vector. Rejects with the provider's failure as an AppError, `embedding_dimension_mismatch`
 * when the vectors have another width than expected, `embedding_failed` when asked for too many texts at once.
 */
export function createOpenAiEmbedder(options: OpenAiEmbedderOptions): Embedder {
  const client = createOpenAiClient(options, { model: options.model, route: 'embeddings' });
  let dimensions = options.dimensions ?? NATIVE_DIMENSIONS[options.model] ?? null;

  function profile(): EmbedderProfile {
    if (dimensions === null) {
      throw new AppError(
        'configuration_invalid',
        'The width of the vectors is not known before the embedder was started.',
      );
    }
    return {
      id: `${options.provider ?? 'openai'}/${options.model}`,
      dimensions,
      version: '1',
      maxTextsPerCall: MAX_TEXTS_PER_CALL,
      maxConcurrentCalls: 4,
      fusionWeight: 0.6,
      window: null,
      local: false,
    };
  }

  return {
    get profile() {
      return profile();
    },
    async doEmbed(texts, { dimensions: wanted, signal }) {
      if (texts.length > MAX_TEXTS_PER_CALL) {
        throw new AppError('embedding_failed', `Send at most ${MAX_TEXTS_PER_CALL} texts in one call.`);
      }
      const width = wanted ?? profile().dimensions;
      return embedInRequests(
        texts,
        (part) => requestEmbeddings({ client, options, texts: part, width, signal }),
        width,
      );
    },
    async start() {
      dimensions ??= await probeDimensions(client, options);
    },
    async stop() {},
  };
}

async function probeDimensions(client: OpenAiClient, options: OpenAiEmbedderOptions): Promise<number> {
  const { vectors } = await requestEmbeddings({ client, options, texts: ['width'], width: null, signal: undefined });
  return vectors[0]?.length ?? 0;
}

/** Leaves out texts that hold nothing, and splits the rest by length where one request could not take it. */
async function embedInRequests(
  texts: readonly string[],
  request: (texts: readonly string[]) => Promise<EmbeddingResult>,
  width: number,
): Promise<EmbeddingResult> {
  const vectors: Float32Array[] = texts.map(() => new Float32Array(width));
  let inputTokens = 0;
  for (const positions of groupByLength(texts)) {
    const result = await request(positions.map((position) => texts[position] ?? ''));
    for (const [index, position] of positions.entries())
      vectors[position] = result.vectors[index] ?? new Float32Array(width);
    inputTokens += result.inputTokens;
  }
  return { vectors, inputTokens };
}

function groupByLength(texts: readonly string[]): number[][] {
  const groups: number[][] = [];
  let units = Number.POSITIVE_INFINITY;
  for (const [position, text] of texts.entries()) {
    if (text.trim() === '') continue;
    units += text.length;
    if (units > MAX_UNITS_PER_REQUEST) {
      groups.push([]);
      units = text.length;
    }
    groups.at(-1)?.push(position);
  }
  return groups;
}

interface EmbeddingCall {
  readonly client: OpenAiClient;
  readonly options: OpenAiEmbedderOptions;
  readonly texts: readonly string[];
  /** Null: whatever comes. */
  readonly width: number | null;
  readonly signal: AbortSignal | undefined;
}

async function requestEmbeddings({ client, options, texts, width, signal }: EmbeddingCall): Promise<EmbeddingResult> {
  const deadline = createDeadline(options.requestTimeoutMs ?? 60_000, signal);
  try {
    const response = await client.post(requestBody(options, texts, width), { signal: deadline.signal });
    const body = await readJsonBody(response, LARGEST_RESPONSE_BYTES);
    const error = field(body, 'error');
    if (error !== undefined && error !== null) throw toFailure(error);
    return {
      vectors: readVectors(body, texts.length, width),
      inputTokens: countOrZero(field(field(body, 'usage'), 'prompt_tokens')),
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (deadline.signal.aborted) throw timedOut(error);
    throw error instanceof AppError ? error : interrupted(error);
  } finally {
    deadline[Symbol.dispose]();
  }
}

function timedOut(cause: unknown): AppError {
  return new AppError('provider_timeout', 'The provider did not send the embeddings in time. Try again.', {
    retryable: true,
    cause,
  });
}

function requestBody({ model }: OpenAiEmbedderOptions, texts: readonly string[], width: number | null): JsonObject {
  const shortened = width !== null && SHORTENING_MODEL.test(model) && width !== NATIVE_DIMENSIONS[model];
  return { model, input: texts, encoding_format: 'base64', ...(shortened ? { dimensions: width } : {}) };
}

/** The vectors in the order of the texts, each normalised to length 1. */
function readVectors(body: unknown, count: number, width: number | null): Float32Array[] {
  const data = items(field(body, 'data'));
  if (data.length !== count) throw invalidResponse('another number of vectors than texts were sent');
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count });
  for (const [position, item] of data.entries()) {
    vectors[Number(field(item, 'index') ?? position)] = normalised(readVector(field(item, 'embedding')));
  }
  const whole = vectors.filter((vector) => vector !== undefined);
  if (whole.length !== count || vectors.length !== count) throw invalidResponse('vectors whose order is unclear');
  const misfit = whole.find((vector) => vector.length !== (width ?? whole[0]?.length));
  if (misfit === undefined) return whole;
  throw new AppError(
    'embedding_dimension_mismatch',
    `The provider sent vectors of ${misfit.length} dimensions where ${width ?? whole[0]?.length} were expected. Check the embedding model and its dimensions.`,
  );
}

/** Floats in an array, or little-endian in base64. */
function readVector(embedding: unknown): Float32Array {
  if (Array.isArray(embedding)) return Float32Array.from(embedding, Number);
  if (typeof embedding !== 'string') throw invalidResponse('an embedding in an unknown form');
  const bytes = Buffer.from(embedding, 'base64');
  if (bytes.byteLength % 4 !== 0) throw invalidResponse('an embedding that is cut off');
  // Copied, because the floats of a view must lie at a multiple of four.
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function normalised(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!Number.isFinite(squares) || vector.length === 0) throw invalidResponse('an embedding that is no vector');
  const length = Math.sqrt(squares);
  return length === 0 ? vector : vector.map((value) => value / length);
}
