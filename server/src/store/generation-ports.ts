import type { Generation, GoldenQuestion } from './generation-entities.ts';
import type { Page, PageRequest } from './page.ts';

export interface GenerationRepository {
  create(generation: Omit<Generation, 'tenantId'>): Promise<void>;
  get(botId: string, id: string): Promise<Generation | null>;
  /** The one that answers; null for a bot that was never trained. */
  active(botId: string): Promise<Generation | null>;
  list(botId: string, page: PageRequest): Promise<Page<Generation>>;
  /** Those of the bot in any of the states, the newest first. */
  inStates(botId: string, states: readonly Generation['state']['type'][]): Promise<readonly Generation[]>;
  /** Those of the bots in any of the states, the oldest first. */
  ofBots(botIds: readonly string[], states: readonly Generation['state']['type'][]): Promise<readonly Generation[]>;
  /**
   * Those of the bots that lack something of the index: a searchable document that is not cut as its chunk set says, or a chunk of
   * one without vectors in its space. Other reads come in between the bots, where they would have to wait.
   */
  lacking(botIds: readonly string[], generation: string): Promise<readonly string[]>;
  /** Only while it is in one of the states `from`, when they are given; false when nothing was changed. */
  update(
    id: string,
    changes: Partial<
      Pick<Generation, 'state' | 'policy' | 'origin' | 'progress' | 'comparison' | 'jobId'> & {
        readonly from: readonly Generation['state']['type'][];
      }
    > & { readonly updatedAt: number },
  ): Promise<boolean>;
  delete(id: string): Promise<boolean>;
  /** Removes at most `limit` vectors of the index; returns how many. */
  removeVectors(botId: string, generation: string, limit: number): Promise<number>;
  /** Removes at most `limit` chunks of the set, with their vectors and index entries; returns how many. */
  removeChunks(botId: string, chunkSet: string, limit: number): Promise<number>;
}

export interface GoldenQuestionRepository {
  create(question: Omit<GoldenQuestion, 'tenantId'>): Promise<void>;
  list(botId: string, page: PageRequest): Promise<Page<GoldenQuestion>>;
  delete(botId: string, id: string): Promise<boolean>;
}
