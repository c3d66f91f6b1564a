import type { Logger } from '../../kernel/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest } from '../ports.ts';

/** An answer from elsewhere than the models of the chain, for when all of these have failed. */
export interface LastResort {
  /** Its name in `degraded`: `cached_answer`. */
  readonly step: string;
  /**
   * The answer, begun; null when it has none for this request. Asked while a client waits: it must be quick. What it
   * rejects with is logged, and the next one asked.
   */
  begin(request: ChatModelRequest, signal: AbortSignal): Promise<BegunLastResort | null>;
}

export interface BegunLastResort {
  /** Who made it: `provider/model`. */
  readonly servedBy: string;
  /** At least one event, as a chat model says them. */
  readonly events: AsyncIterable<ChatModelEvent>;
}

/** The sentences of the passages that answer best: needs no provider, so it cannot fail as one does. */
export function createExtractiveResort(model: ChatModel): LastResort {
  return {
    step: 'extractive_answer',
    async begin(request, signal) {
      if (request.grounding === null || request.grounding.passages.length === 0) return null;
      return { servedBy: model.id, events: model.doStream(request, { signal }) };
    },
  };
}

export interface ResortAnswer {
  readonly step: string;
  readonly servedBy: string;
  readonly first: ChatModelEvent;
  readonly rest: AsyncIterator<ChatModelEvent>;
}

/** The first of them that has an answer; null: none has. */
export async function beginLastResort(
  resorts: readonly LastResort[],
  request: ChatModelRequest,
  { signal, logger }: { readonly signal: AbortSignal; readonly logger: Logger },
): Promise<ResortAnswer | null> {
  for (const resort of resorts) {
    try {
      const begun = await resort.begin(request, signal);
      if (begun === null) continue;
      const rest = begun.events[Symbol.asyncIterator]();
      const { done, value } = await rest.next();
      if (done !== true) return { step: resort.step, servedBy: begun.servedBy, first: value, rest };
    } catch (err) {
      signal.throwIfAborted();
      logger.warn({ step: resort.step, err }, 'last resort failed');
    }
  }
  return null;
}
