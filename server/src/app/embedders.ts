import { LANGCHAIN_PROVIDER, type LangChain } from '../adapters/langchain/index.ts';
import { createStaticEmbedder, createUseLiteEmbedder, createUseLiteModel } from '../adapters/local-embedder/index.ts';
import type { ByteCache } from '../cache/index.ts';
import {
  createEmbeddingGenerator,
  type Embedder,
  type EmbeddingGenerator,
  type EmbeddingSpaces,
  type WordVectorCache,
  withDimensions,
} from '../embeddings/index.ts';
import { AppError, type Clock, type Lifecycle, type Logger, type Meter, toAppError } from '../kernel/index.ts';
import { parseModelId, type TokenCounter } from '../llm/index.ts';
import type { RightOfWay } from '../resilience/index.ts';
import type { Config } from './config.ts';
import type { ModelName } from './model-choice.ts';
import type { Providers } from './providers.ts';

interface EmbedderParts {
  readonly config: Config;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly langChain: LangChain;
  readonly counter: TokenCounter;
  readonly wordVectors: WordVectorCache;
  /** Keeps vectors of queries for all processes; null: each keeps its own. */
  readonly sharedBytes: ByteCache | null;
  /** Lets questions go first, before each step of work in the background. */
  readonly giveWay: RightOfWay['giveWay'];
}

/** The embedders of the house, each made and started when it is first needed; `start` starts the server's own. */
export interface Embedders extends EmbeddingSpaces, Lifecycle {
  /** Makes further vectors in the background; null: none does. */
  readonly follower: Embedder | null;
}

interface Made {
  readonly embedder: Embedder;
  readonly generator: EmbeddingGenerator;
}

/** How long an embedder that could not be started is not asked for again by searches. */
const FAILED_FOR_MS = 30_000;
const PROBE = 'width';

/**
 * Makes embedders by name. The server's own is started first; when its width was configured, a call proves it. Starting
 * rejects with `embedding_dimension_mismatch` when it is another.
 */
export function createEmbedders(parts: EmbedderParts): Embedders {
  const { config, clock, logger, meter } = parts;
  const made = new Map<string, Promise<Made>>();
  const failedUntil = new Map<string, number>();
  const widths = new Map<string, EmbeddingGenerator>();
  const teacher = createUseLiteModel({ giveWay: parts.giveWay, clock });
  let own: EmbeddingGenerator | null = null;

  function makeEmbedder({ provider, model }: ModelName): Embedder {
    if (provider === 'local' && model === 'use-lite') return createUseLiteEmbedder({ model: teacher });
    if (provider === 'local' && model === 'static-en') return createStaticEmbedder({ ...parts, teacher });
    if (provider === LANGCHAIN_PROVIDER) return parts.langChain.createEmbedder(model, parts);
    return parts.providers.createProviderEmbedder({ provider, model });
  }

  async function make(name: ModelName): Promise<Made> {
    const embedder = makeEmbedder(name);
    await embedder.start();
    const sharedVectors =
      parts.sharedBytes === null ? {} : { sharedVectors: { cache: parts.sharedBytes, scope: scopeOf(name) } };
    const generator = createEmbeddingGenerator({
      ...{ embedder, clock, logger, meter, random: Math.random },
      ...sharedVectors,
    });
    return { embedder, generator };
  }

  /** The same name may stand for another model elsewhere: its address, or its options, are part of the key. */
  function scopeOf({ provider, model }: ModelName): string {
    const { kind, baseUrl, apiVersion } = config.providers.get(provider) ?? {};
    const own = provider === LANGCHAIN_PROVIDER ? config.langChain.embeddings.get(model) : undefined;
    return JSON.stringify([kind, baseUrl, apiVersion, own]);
  }

  /** One that could not be made is tried again by the next who asks. */
  function madeOf(name: ModelName): Promise<Made> {
    const id = `${name.provider}/${name.model}`;
    const known = made.get(id);
    if (known !== undefined) return known;
    const making = make(name);
    made.set(id, making);
    making.catch(() => made.delete(id));
    return making;
  }

  /** One generator a width, so that its cache and its lanes serve all bots. */
  function ofWidth(generator: EmbeddingGenerator, dimensions: number): EmbeddingGenerator {
    if (generator.profile.dimensions === dimensions) return generator;
    const key = widthKey(generator, dimensions);
    return widths.get(key) ?? withDimensions(generator, dimensions);
  }

  /** A provider that is away now does not keep the server from starting; a wrong width does. */
  async function prove(generator: EmbeddingGenerator): Promise<void> {
    try {
      await generator.embed([PROBE], { purpose: 'document' });
    } catch (error) {
      const { code } = toAppError(error);
      if (code === 'embedding_dimension_mismatch') throw error;
      logger.warn({ embedder: generator.profile.id, code }, 'The width of the embedder could not be checked now');
    }
  }

  async function open(
    model: string,
    { dimensions, signal }: { readonly dimensions: number | null; readonly signal?: AbortSignal },
  ): Promise<EmbeddingGenerator> {
    const { generator } = await madeOf(parseModelId(model, 'openai'));
    const wanted = ofWidth(generator, dimensions ?? generator.profile.dimensions);
    await wanted.embed([PROBE], { purpose: 'document', ...(signal === undefined ? {} : { signal }) });
    // Only what works is kept: anybody may ask for any width.
    if (wanted !== generator) widths.set(widthKey(generator, wanted.profile.dimensions), wanted);
    return wanted;
  }

  return {
    name: 'embedders',
    follower:
      config.embeddingFollower === null ? null : createUseLiteEmbedder({ model: teacher, documents: 'background' }),
    get own() {
      if (own === null) throw new AppError('internal_error', 'The embedder was asked for before it was started.');
      return own;
    },
    open,
    async find({ id, version, dimensions }) {
      if ((failedUntil.get(id) ?? 0) > clock.now()) return null;
      try {
        const { generator } = await madeOf(parseModelId(id, 'openai'));
        if (generator.profile.version !== version) return null;
        const wanted = ofWidth(generator, dimensions);
        if (wanted !== generator) widths.set(widthKey(generator, dimensions), wanted);
        return wanted;
      } catch (error) {
        failedUntil.set(id, clock.now() + FAILED_FOR_MS);
        logger.warn(
          { embedder: id, code: toAppError(error).code },
          'An embedder that vectors were made with is not available',
        );
        return null;
      }
    },
    async start() {
      const { generator } = await madeOf(config.embeddingModel);
      const dimensions = config.embeddingDimensions ?? generator.profile.dimensions;
      own = ofWidth(generator, dimensions);
      if (config.embeddingDimensions !== null) await prove(own);
    },
    async stop() {
      const all = await Promise.allSettled(made.values());
      for (const result of all) if (result.status === 'fulfilled') await result.value.embedder.stop();
      await teacher.stop();
    },
  };
}

function widthKey({ profile }: EmbeddingGenerator, dimensions: number): string {
  return `${profile.id}:${dimensions}`;
}
