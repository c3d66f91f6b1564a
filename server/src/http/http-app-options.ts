import type { Answerer, AnswerStreams, PromptPreviewer, Searcher, UsageLedger } from '../chat/index.ts';
import type { EmbeddingGenerator } from '../embeddings/index.ts';
import type { JobEvents } from '../jobs/index.ts';
import type { Clock, IdMaker, Logger, Meter } from '../kernel/index.ts';
import type { ApiKeys, RateLimiter } from '../security/index.ts';
import type { Bot, FrozenPrice, Store } from '../store/index.ts';
import type {
  BundleExporter,
  BundleImporter,
  DuplicateFinder,
  Generations,
  SyncRuns,
  Trainer,
} from '../training/index.ts';
import type { SplitterCheckOptions } from './splitter-check.ts';

/**
 * What the process is ready for. While it starts or drains, `/v1` answers 503. One that is leaving says that it is not
 * ready and serves all the same, until nobody is sent to it any more.
 */
export type ServingState = 'starting' | 'ready' | 'leaving' | 'draining';

export interface HttpLimits {
  /** Largest upload, all files of a form together, in bytes. */
  readonly maxUploadBytes: number;
  /** Largest JSON body of a source, in bytes. */
  readonly bodyBytes: number;
}

/** A bot that the page at `/` asks with a key that anybody may read. */
export interface DemoBot {
  readonly botSlug: string;
  readonly publicKey: string;
}

/** What a model costs now. */
export interface ListedPrice extends FrozenPrice {
  readonly aliases: readonly string[];
  readonly kind: 'chat' | 'embedding';
  readonly origin: 'built-in' | 'file';
}

/** What the routes are made of. */
export interface HttpParts extends SplitterCheckOptions {
  readonly store: Store;
  readonly trainer: Trainer;
  readonly bundles: { readonly exporter: BundleExporter; readonly importer: BundleImporter };
  readonly syncRuns: SyncRuns;
  readonly duplicates: Pick<DuplicateFinder, 'find'>;
  readonly searcher: Searcher;
  readonly answerer: Answerer;
  readonly streams: AnswerStreams;
  readonly prompts: PromptPreviewer;
  readonly embeddings: EmbeddingGenerator;
  readonly ledger: Pick<UsageLedger, 'record' | 'flush'>;
  readonly prices: () => Promise<readonly ListedPrice[]>;
  /** Without it a bot keeps the index that it has. */
  readonly generations?: Generations;
  /** Throws `model_not_found` for chat models that this server cannot call, `invalid_request` for keys that it does not have. */
  readonly requireModels?: (bot: Pick<Bot, 'model' | 'models'>) => void;
  readonly apiKeys: ApiKeys;
  /** The tenant that the first start makes: the server keeps rows of its own in it. */
  readonly defaultTenantId: string;
  readonly rateLimiter: RateLimiter;
  readonly jobEvents: JobEvents;
  /** Wakes the job runner; without it a retried job waits for the next sweep. */
  readonly announceJob?: (jobId: string) => Promise<void>;
  /** Told that a question has come; it returns what is called once the question is dealt with. */
  readonly onQuestion?: () => () => void;
  readonly meter: Meter;
  /** The state of all metrics in Prometheus' text format. */
  readonly renderMetrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly servingState: () => ServingState;
  /** Whether what processes share can be had; absent: nothing is shared. */
  readonly redisState?: () => 'up' | 'away';
  /** A page of the queue's board by its path; absent: no such queue is used. */
  readonly queueBoard?: (path: string) => Promise<{
    readonly status: number;
    readonly type: string;
    readonly body: Buffer;
  }>;
  readonly limits: HttpLimits;
  readonly demo?: DemoBot;
  /** Shown in the OpenAPI document. */
  readonly version: string;
}
