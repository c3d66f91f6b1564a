import type { Clock, IdMaker, Logger, Meter } from '../../kernel/index.ts';
import type { ModelCaller, TokenCounter } from '../../llm/index.ts';
import type { Bot, Store } from '../../store/index.ts';
import type { UsageLedger } from '../ledger/index.ts';
import type { Searcher } from '../ports.ts';
import type { AnswerCacheOptions } from './answer-cache-options.ts';

/** A model that can answer. */
export interface AnsweringModel {
  readonly caller: ModelCaller;
  /** False for the extractive model: it reads question and passages alone, and cannot talk freely or summarise. */
  readonly readsPrompts: boolean;
  /** All models that may be asked, in the order of their rank; absent: the caller's own. */
  readonly route?: readonly string[];
}

export interface AnswererOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly searcher: Searcher;
  /** The models that answer for a bot. Throws `model_not_found`. */
  readonly chooseModel: (bot: Pick<Bot, 'model' | 'models'>) => AnsweringModel;
  readonly counter: TokenCounter;
  /** Takes down what answers use. */
  readonly ledger: Pick<UsageLedger, 'record'>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Absent: every answer is made anew. */
  readonly answerCache?: AnswerCacheOptions;
  /** For what a bot does not set. */
  readonly defaults?: {
    readonly refusalMessage?: string;
    /** Tokens of passages in the prompt. */
    readonly maxContextTokens?: number;
    /** Tokens of earlier turns in the prompt. */
    readonly memoryTokens?: number;
  };
}
