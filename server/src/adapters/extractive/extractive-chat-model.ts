import type { ChatModel, ChatModelEvent, ChatModelRequest, FinishReason, TokenCounter } from '../../llm/index.ts';
import { answerQuestion, type EmbedTexts } from './answer-question.ts';
import { smallTalkReply } from './small-talk.ts';

export interface ExtractiveChatModelOptions {
  /** A local embedder; leave it out rather than give one that costs money or a network call. */
  readonly embed?: EmbedTexts;
  /** For `maxOutputTokens`; without one, four characters count as a token. */
  readonly counter?: TokenCounter;
}

export const EXTRACTIVE_MODEL_ID = 'chatsphere/extractive';

/** Said when there is nothing to quote from. */
export const NEEDS_CHAT_MODEL_MESSAGE =
  'I can only answer from the content that this bot was trained on. For open conversation, the operator has to set a ' +
  'chat model key (OPENAI_API_KEY or another provider).';

/**
 * The model that needs no key and no network: it answers in the words of the passages, each statement followed by its
 * `[n]` marker, and says exactly the refusal message when nothing in them fits. It reads `grounding`, not the prompt.
 */
export function createExtractiveChatModel(options: ExtractiveChatModelOptions = {}): ChatModel {
  const countTokens = (text: string): number => options.counter?.count(text) ?? Math.ceil(text.length / 4);
  return {
    id: EXTRACTIVE_MODEL_ID,
    async *doStream(request, { signal }): AsyncIterable<ChatModelEvent> {
      signal?.throwIfAborted();
      const full = await answerText(request, options.embed);
      const { text, finishReason } = cut(full, request, countTokens);
      for (const word of text.match(/\S+\s*|\s+/gu) ?? []) {
        signal?.throwIfAborted();
        yield { type: 'text-delta', text: word };
      }
      yield { type: 'end', finishReason, usage: null };
    },
  };
}

async function answerText(request: ChatModelRequest, embed: EmbedTexts | undefined): Promise<string> {
  if (request.grounding === null) return NEEDS_CHAT_MODEL_MESSAGE;
  const reply = smallTalkReply(request.grounding.question);
  if (reply !== null) return reply;
  return (await answerQuestion(request.grounding, embed)) ?? request.grounding.refusalMessage;
}

/** Ends the text where a provider would: before a stop sequence, or at the token limit. */
function cut(
  text: string,
  request: ChatModelRequest,
  countTokens: (text: string) => number,
): { readonly text: string; readonly finishReason: FinishReason } {
  const stops = (request.stop ?? []).map((stop) => (stop === '' ? -1 : text.indexOf(stop))).filter((at) => at >= 0);
  const stopped = stops.length > 0 ? text.slice(0, Math.min(...stops)) : text;
  if (request.maxOutputTokens === undefined || countTokens(stopped) <= request.maxOutputTokens) {
    return { text: stopped, finishReason: 'stop' };
  }
  let kept = '';
  for (const word of stopped.match(/\S+\s*|\s+/gu) ?? []) {
    if (countTokens(kept + word) > request.maxOutputTokens) break;
    kept += word;
  }
  return { text: kept.trimEnd(), finishReason: 'length' };
}
