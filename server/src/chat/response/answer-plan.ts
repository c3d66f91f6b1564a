import {
  type ChatMessage,
  type ChatModelRequest,
  OPEN_TEMPLATE,
  type PromptTemplate,
  type PromptValues,
  promptValues,
  renderSystemPrompt,
} from '../../llm/index.ts';
import { documentsToJoin, type PackedPassage, packContext } from '../context/index.ts';
import type { Recollection } from '../memory/index.ts';
import type { AnswerRequest, SearchResult } from '../ports.ts';
import { templateOf } from '../prompt/index.ts';
import type { AnswererOptions, AnsweringModel } from './answerer-options.ts';
import type { Asked } from './asked.ts';
import type { DocumentTexts } from './document-texts.ts';
import { DEFAULT_REFUSAL_MESSAGE, NO_CONTENT_MESSAGE } from './refusal.ts';

/** How a question will be answered: by the model, or with a fixed text that needs none. */
export type AnswerPlan =
  | {
      readonly type: 'ask';
      readonly request: ChatModelRequest;
      readonly passages: readonly PackedPassage[];
      readonly refusalMessage: string;
      /** What the system message was made of. */
      readonly prompt: { readonly template: PromptTemplate; readonly values: PromptValues };
    }
  | { readonly type: 'say'; readonly text: string };

export interface PlanInput {
  readonly request: AnswerRequest;
  readonly asked: Asked;
  readonly memory: Recollection;
  readonly found: SearchResult;
  readonly model: AnsweringModel;
  readonly documents: DocumentTexts;
  /** Whether the bot has sources. */
  readonly isTrained: boolean;
}

const DEFAULT_CONTEXT_TOKENS = 3000;

/** Decides how to answer. Without a passage a trained bot declines; an untrained one talks freely if its model can. */
export async function planAnswer(options: AnswererOptions, input: PlanInput): Promise<AnswerPlan> {
  const { bot } = input.request;
  const { hits } = input.found;
  const refusalMessage = bot.refusalMessage ?? options.defaults?.refusalMessage ?? DEFAULT_REFUSAL_MESSAGE;
  const passages = packContext({
    hits,
    documentTexts: await input.documents.read(documentsToJoin(hits)),
    maxTokens: bot.retrieval.maxContextTokens ?? options.defaults?.maxContextTokens ?? DEFAULT_CONTEXT_TOKENS,
    counter: options.counter,
  });
  if (passages.length > 0) return groundedPlan(input, { passages, refusalMessage });
  if (!input.isTrained) {
    return input.model.readsPrompts ? openPlan(input, refusalMessage) : { type: 'say', text: NO_CONTENT_MESSAGE };
  }
  if (input.model.readsPrompts && !usesTools(input)) return { type: 'say', text: refusalMessage };
  return groundedPlan(input, { passages, refusalMessage });
}

function groundedPlan(
  input: PlanInput,
  { passages, refusalMessage }: { readonly passages: readonly PackedPassage[]; readonly refusalMessage: string },
): AnswerPlan {
  const { name: botName, instructions } = input.request.bot;
  const { summary } = input.memory;
  const template = templateOf(input.request.bot);
  const values = promptValues({ botName, instructions, passages, refusalMessage, summary });
  const system = renderSystemPrompt(template, values);
  return {
    type: 'ask',
    passages,
    refusalMessage,
    prompt: { template, values },
    request: {
      ...modelRequest(input, system),
      grounding: { question: input.found.query, passages, refusalMessage },
    },
  };
}

/**
 * For a bot that has nothing to answer from: its instructions and the conversation, no passages and no rules on them. A
 * template of its owner's holds here, too.
 */
function openPlan(input: PlanInput, refusalMessage: string): AnswerPlan {
  const { bot } = input.request;
  const { summary } = input.memory;
  const isOwn = bot.prompt !== undefined && bot.prompt !== null && 'text' in bot.prompt;
  const template = isOwn ? templateOf(bot) : OPEN_TEMPLATE;
  const { name: botName, instructions } = bot;
  const values = promptValues({ botName, instructions, passages: null, refusalMessage, summary });
  const request = { ...modelRequest(input, renderSystemPrompt(template, values)), grounding: null };
  return { type: 'ask', passages: [], refusalMessage, prompt: { template, values }, request };
}

function modelRequest({ request, asked, memory }: PlanInput, system: string): Omit<ChatModelRequest, 'grounding'> {
  const temperature = request.temperature ?? request.bot.temperature;
  const maxOutputTokens = smallerOf(request.maxOutputTokens, request.bot.maxOutputTokens);
  const instructions =
    asked.instructions === null ? '' : `\n\n# Instructions from the application\n${asked.instructions}`;
  const messages: ChatMessage[] = [
    { role: 'system', content: system + instructions + (usesTools({ request, asked }) ? TOOL_RULES : '') },
    ...memory.messages,
    { role: 'user', content: asked.question },
    ...asked.exchange,
  ];
  return {
    messages,
    ...(temperature === null ? {} : { temperature }),
    ...(maxOutputTokens === null ? {} : { maxOutputTokens }),
    ...(request.topP === undefined ? {} : { topP: request.topP }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(request.presencePenalty === undefined ? {} : { presencePenalty: request.presencePenalty }),
    ...(request.frequencyPenalty === undefined ? {} : { frequencyPenalty: request.frequencyPenalty }),
    ...(request.reasoningEffort === undefined ? {} : { reasoningEffort: request.reasoningEffort }),
    ...(request.responseFormat === undefined ? {} : { responseFormat: request.responseFormat }),
    ...(request.tools === undefined ? {} : { tools: request.tools }),
    ...(request.toolChoice === undefined ? {} : { toolChoice: request.toolChoice }),
    ...(request.parallelToolCalls === undefined ? {} : { parallelToolCalls: request.parallelToolCalls }),
    ...(request.stop === undefined ? {} : { stop: request.stop }),
    ...(request.endUser === undefined ? {} : { endUser: request.endUser }),
  };
}

const TOOL_RULES =
  '\n\n# Tools\nThe application offers tools. Call them where they help to answer; what they return may be used like the passages, without a marker.';

function usesTools({ request, asked }: Pick<PlanInput, 'request' | 'asked'>): boolean {
  return (request.tools ?? []).length > 0 || asked.exchange.length > 0;
}

/** The owner's limit holds whatever the client asks for. */
function smallerOf(asked: number | undefined, limit: number | null): number | null {
  if (asked === undefined) return limit;
  return limit === null ? asked : Math.min(asked, limit);
}
