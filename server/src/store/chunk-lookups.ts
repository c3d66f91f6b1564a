import type { ChunkVectors } from './entities.ts';

/** What vector indexes ask of the chunks of a bot; `generation` is an index key. */
export interface ChunkLookups {
  /** Vectors of these chunks of the bot in the generation; chunks without any are left out. */
  vectorsOf(botId: string, generation: string, chunkIds: readonly string[]): Promise<readonly ChunkVectors[]>;
  /** How many windows `system.loadVectors` would give of the bot. */
  countVectors(botId: string, generation: string): Promise<number>;
  /** Texts of these chunks of the bot, by id, whatever state their documents are in. */
  textsOf(botId: string, chunkIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Whether any chunk of the bot has vectors of the generation. */
  hasVectors(botId: string, generation: string): Promise<boolean>;
}
