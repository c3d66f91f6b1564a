import type { ChunkingStrategy, Failure } from './entities.ts';

/**
 * What answers a bot's questions, or did, or will: an embedder in one version and width, and a way to cut content. A
 * change of any of them is a new generation. At most one of a bot is `active`.
 */
export interface Generation {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly state: GenerationState;
  /** `provider/model`. */
  readonly embeddingModel: string;
  readonly embedderVersion: string;
  readonly dimensions: number;
  /** Signature of how content is cut. */
  readonly chunkSet: string;
  /** How sources are cut that do not say it themselves. */
  readonly chunking: ChunkingStrategy;
  /** `server`: follows the server's settings; `bot`: asked for, and kept when they change. */
  readonly origin: 'server' | 'bot';
  readonly policy: ActivationPolicy;
  /** Chunks with vectors, of all. */
  readonly progress: { readonly done: number; readonly total: number };
  readonly comparison: GenerationComparison | null;
  /** The job that builds or removes it. */
  readonly jobId: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** `at`: since when. `retired`: was active and can be again. `removing`: its content is being deleted. */
export type GenerationState =
  | { readonly type: 'building' | 'ready' | 'active' | 'retired' | 'cancelled' | 'removing'; readonly at: number }
  | { readonly type: 'failed'; readonly at: number; readonly error: Failure };

/** When a finished generation takes over by itself. */
export type ActivationPolicy = 'when_ready' | 'if_not_worse' | 'manual';

/** Two generations asked the same questions. */
export interface GenerationComparison {
  /** `golden`: questions with known sources; `sampled`: headings of the content and recent questions; `none`: nothing to ask. */
  readonly basis: 'golden' | 'sampled' | 'none';
  readonly queries: number;
  /** Mean share of the first ten results that both have; null without queries. */
  readonly overlapAt10: number | null;
  /** Over the questions whose answer is known; null when there is none. */
  readonly ndcgOld: number | null;
  readonly ndcgNew: number | null;
  /** Questions that the new one answers better, and worse. */
  readonly won: number;
  readonly lost: number;
  readonly verdict: 'better' | 'same' | 'worse' | 'unknown';
  readonly comparedAt: number;
}

/** A question whose right sources are known. At least one expectation is given. */
export interface GoldenQuestion {
  readonly id: string;
  readonly tenantId: string;
  readonly botId: string;
  readonly question: string;
  readonly expected: GoldenExpectation;
  readonly createdAt: number;
}

export interface GoldenExpectation {
  readonly externalKeys?: readonly string[];
  readonly sourceIds?: readonly string[];
  /** A passage that must be found; compared without regard to case and white space. */
  readonly text?: string;
}
