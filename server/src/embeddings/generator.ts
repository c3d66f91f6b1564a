import { type ByteCache, createMemoryByteCache } from '../cache/index.ts';
import { AppError, type Clock, type Logger, type Meter } from '../kernel/index.ts';
import { type Batcher, createBatcher, createSingleFlight } from '../resilience/index.ts';
import { createCallLanes } from './call-lanes.ts';
import { callAll, callOnce, type Embedded, type EmbeddingCaller } from './embedding-calls.ts';
import { spaceName } from './fixed-width.ts';
import type { Embedder, EmbeddingGenerator, EmbeddingPurpose, EmbeddingRequest, EmbeddingResult } from './ports.ts';
import { createQueryVectors } from './query-vectors.ts';

export interface EmbeddingGeneratorOptions {
  readonly embedder: Embedder;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly logger: Logger;
  /** Uniform in [0, 1): spreads the retries of remote calls. */
  readonly random: () => number;
  /**
   * Keeps vectors of queries for other processes, too; by default there are 16 MiB in this one. An embedder in this
   * process always has the latter: its vectors are made sooner than they are fetched.
   */
  readonly sharedVectors?: {
    readonly cache: ByteCache;
    /** What vectors depend on beside the embedder's id, version and width: who answers under its name. */
    readonly scope: string;
  };
  /** Most tries of a call to a remote embedder. Default 4. */
  readonly attempts?: number;
}

const OWN_BYTES = 16 * 1024 * 1024;

/** Single requests to remote embedders share calls; this many at once keeps the first from waiting for the second. */
const JOINED_CALLS_AT_ONCE = 2;

/**
 * The embedder's careful caller: equal texts are embedded once, blank ones not at all, recent queries come from memory;
 * calls are split and bounded as the profile says, queries before documents; single requests to a remote embedder share
 * calls; failures of a remote embedder that may pass are tried again; what comes back is checked and normalised.
 */
export function createEmbeddingGenerator(options: EmbeddingGeneratorOptions): EmbeddingGenerator {
  const { embedder } = options;
  const lanes = createCallLanes(() => embedder.profile.maxConcurrentCalls);
  const { cache, scope } = (embedder.profile.local ? null : options.sharedVectors) ?? {
    cache: createMemoryByteCache({ maxBytes: OWN_BYTES, clock: options.clock }),
    scope: '',
  };
  const queries = createQueryVectors(cache, scope);
  const caller: EmbeddingCaller = { attempts: 4, ...options, lanes };
  const flights = createSingleFlight<readonly Embedded[]>();
  const joiners = new Map<string, Batcher<string, Embedded>>();

  function joinerFor(purpose: EmbeddingPurpose, dimensions: number | undefined): Batcher<string, Embedded> {
    const key = `${purpose}:${dimensions ?? ''}`;
    const joiner = joiners.get(key) ?? createJoiner(caller, purpose, dimensions);
    joiners.set(key, joiner);
    return joiner;
  }

  const generation = (): string => spaceName(embedder.profile);

  async function embedFresh(texts: readonly string[], request: EmbeddingRequest): Promise<readonly Embedded[]> {
    const [only] = texts;
    if (texts.length === 1 && only !== undefined) return embedSingle(only, request);
    const size = embedder.profile.maxTextsPerCall;
    const parts = Array.from({ length: Math.ceil(texts.length / size) }, (_, part) =>
      texts.slice(part * size, (part + 1) * size),
    );
    return (await callAll(caller, parts, request)).flat();
  }

  /** Many visitors may ask the same at once, and each remote call costs a round trip. */
  function embedSingle(text: string, request: EmbeddingRequest): Promise<readonly Embedded[]> {
    const { purpose, dimensions, background = false } = request;
    // Whoever wants to know of its calls makes its own.
    const isOwn = embedder.profile.local || request.onCall !== undefined;
    const embed = async (signal: AbortSignal): Promise<readonly Embedded[]> =>
      isOwn
        ? callOnce(caller, [text], { ...request, signal })
        : [await joinerFor(purpose, dimensions).add(text, signal)];
    return flights.run(`${purpose}:${dimensions ?? ''}:${background}:${text}`, embed, request.signal);
  }

  return {
    get profile() {
      return embedder.profile;
    },
    get generation() {
      return generation();
    },
    async embed(texts, request) {
      request.signal?.throwIfAborted();
      const dimensions = request.dimensions ?? embedder.profile.dimensions;
      const space = `${generation()}:${dimensions}:${request.purpose}`;
      const isQuery = request.purpose === 'query';
      const done = new Map<string, Embedded>();
      const know = (text: string, vector: Float32Array): void =>
        void done.set(text, { vector, inputTokens: 0, provisional: false });
      for (const text of texts) if (text.trim() === '') know(text, new Float32Array(dimensions));
      if (isQuery) {
        const look = async (text: string): Promise<void> => {
          const kept = await queries.get(space, text);
          if (kept?.length === dimensions) know(text, kept);
        };
        await Promise.all([...new Set(texts)].filter((text) => !done.has(text)).map(look));
        request.signal?.throwIfAborted();
      }
      if (done.size > 0) countCached(options.meter, embedder.profile.id, done.size);
      const fresh = [...new Set(texts)].filter((text) => !done.has(text));
      const embedded = fresh.length === 0 ? [] : await embedFresh(fresh, request);
      for (const [position, text] of fresh.entries()) {
        const item = embedded[position];
        if (item === undefined) continue;
        done.set(text, item);
        if (isQuery && !item.provisional) queries.keep(space, text, item.vector);
      }
      return { ...gather(texts, done), ...(fresh.length === 0 ? { fromMemory: true } : {}) };
    },
  };
}

function countCached(meter: Meter, model: string, texts: number): void {
  meter.count('chatsphere_embedding_texts_total', { model, outcome: 'cached' }, texts);
}

function gather(texts: readonly string[], done: ReadonlyMap<string, Embedded>): EmbeddingResult {
  const items = [...done.values()];
  return {
    // Copies, so that no caller can alter what another one or the cache holds.
    vectors: texts.map((text) => Float32Array.from(done.get(text)?.vector ?? [])),
    inputTokens: items.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    ...(items.some(({ provisional }) => provisional) ? { provisional: true } : {}),
  };
}

function createJoiner(
  caller: EmbeddingCaller,
  purpose: EmbeddingPurpose,
  dimensions: number | undefined,
): Batcher<string, Embedded> {
  return createBatcher({
    maxItems: caller.embedder.profile.maxTextsPerCall,
    maxConcurrent: JOINED_CALLS_AT_ONCE,
    mayBeFaultOfOne: (error) => error instanceof AppError && !error.retryable,
    run: (texts, signal) =>
      callOnce(caller, texts, { purpose, signal, ...(dimensions === undefined ? {} : { dimensions }) }),
  });
}
