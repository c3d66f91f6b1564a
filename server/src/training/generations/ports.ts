import type { EmbeddingGenerator } from '../../embeddings/index.ts';
import type { ActivationPolicy, Bot, BotKey, ChunkingStrategy, Generation } from '../../store/index.ts';

/** A generation, and who makes its vectors. */
export interface BotIndex {
  readonly generation: Generation;
  /** Its index key. */
  readonly key: string;
  /** Its embedder; `generation` is the index key. Rejects every call when `available` is false. */
  readonly embeddings: Pick<EmbeddingGenerator, 'profile' | 'generation' | 'embed'>;
  /** False: the embedder cannot be had on this server (now). */
  readonly available: boolean;
}

/** The index that training completes. */
export interface TrainingIndex extends BotIndex {
  /** The generation that answers meanwhile; mostly the same one. */
  readonly answeringId: string;
}

/** The indexes of bots. */
export interface BotIndexes {
  /** The one that answers. A bot that was never trained has that of the server's settings. */
  answering(bot: BotKey): Promise<BotIndex>;
  /**
   * The one that training has to complete: the answering one or, when its embedder cannot be had, one that is to follow
   * it. Kept from now on.
   */
  training(bot: BotKey): Promise<TrainingIndex>;
  of(generation: Generation): Promise<BotIndex>;
  /** Index keys of all generations that the bot has content in. */
  keys(bot: BotKey): Promise<readonly string[]>;
}

/** What a client asks a new generation to be; what is left out stays as it is. */
export interface GenerationRequest {
  /** `provider/model`. */
  readonly embeddingModel?: string;
  readonly dimensions?: number;
  readonly chunking?: ChunkingStrategy;
  readonly policy?: ActivationPolicy;
}

/** Builds, swaps and removes the index generations of bots. */
export interface Generations {
  /**
   * Queues a generation. Rejects with what `EmbeddingSpaces.open` rejects with, `generation_not_usable` when the bot uses
   * just that already, `generation_busy` while another one is built.
   */
  request(bot: Bot, request: GenerationRequest, signal?: AbortSignal): Promise<Generation>;
  /**
   * Lets a generation answer. A complete one takes over before this resolves; one that lacks content is completed first
   * and takes over then. Rejects with `generation_not_found`, `generation_not_usable`.
   */
  activate(bot: Bot, id: string, signal?: AbortSignal): Promise<Generation>;
  /** Lets the one before answer again. Rejects with `generation_not_found` when there is none. */
  rollBack(bot: Bot, signal?: AbortSignal): Promise<Generation>;
  /** Stops building it, and removes it in the background. Rejects with `generation_not_usable` for the active one. */
  remove(bot: Bot, id: string): Promise<boolean>;
  /**
   * Has the generations that do not answer completed with what was trained just now, so that they can (again) at any
   * time. Never rejects.
   */
  catchUp(bot: BotKey): Promise<void>;
  /** Has every generation completed that lacks something. */
  completeAll(bot: BotKey): Promise<void>;
}

/** A passage that a comparison has found. */
export interface ComparedPassage {
  readonly sourceId: string;
  readonly documentId: string;
  readonly externalKey: string | null;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Searches a given index of a bot as its visitors would, whichever one answers now. */
export type SearchIndex = (
  bot: Bot,
  index: BotIndex,
  query: { readonly text: string; readonly limit: number; readonly signal: AbortSignal },
) => Promise<readonly ComparedPassage[]>;
