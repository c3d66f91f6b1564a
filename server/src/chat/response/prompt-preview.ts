import {
  type ChatMessage,
  countPrompt,
  namesVariable,
  PROMPT_VARIABLES,
  type PromptVariableName,
  type TokenCounter,
} from '../../llm/index.ts';
import type { PackedPassage } from '../context/index.ts';
import { createConversationMemory } from '../memory/index.ts';
import type { AnswerRequest } from '../ports.ts';
import { templateOf } from '../prompt/index.ts';
import { openAnswer } from './answer-opening.ts';
import { type Preparation, prepareAnswer } from './answer-preparation.ts';
import type { AnswererOptions } from './answerer-options.ts';
import { createTrainedBots } from './trained-bots.ts';

export interface PreviewedVariable {
  readonly name: string;
  readonly type: 'line' | 'text' | 'data';
  readonly needed: boolean;
  readonly used: boolean;
  readonly value: string;
  readonly tokens: number;
}

/** What would be sent for a question. */
export interface PromptPreview {
  readonly templateVersion: string;
  readonly model: { readonly id: string; readonly route: readonly string[]; readonly readsPrompts: boolean };
  /** What would be said without asking a model; null: a model is asked. */
  readonly fixedAnswer: string | null;
  readonly messages: readonly ChatMessage[];
  readonly variables: readonly PreviewedVariable[];
  readonly passages: readonly (PackedPassage & { readonly tokens: number })[];
  readonly searchQuery: string;
  readonly temperature: number | null;
  readonly maxOutputTokens: number | null;
  readonly tokens: {
    readonly system: number;
    readonly history: number;
    readonly question: number;
    readonly total: number;
  };
  readonly lexicalOnly: boolean;
}

export interface PromptPreviewer {
  /**
   * Prepares an answer as the answerer would, up to the call of the model, and shows it. Nothing is stored and no chat model is
   * called; the query may be embedded, as for any search. Rejects as the answerer does before its start.
   */
  preview(request: AnswerRequest, signal: AbortSignal): Promise<PromptPreview>;
}

export function createPromptPreviewer(options: AnswererOptions): PromptPreviewer {
  const { counter, clock, defaults } = options;
  const memory = createConversationMemory({
    counter,
    clock,
    ...(defaults?.memoryTokens === undefined ? {} : { windowTokens: defaults.memoryTokens }),
  });
  const parts = { ...options, memory, trainedBots: createTrainedBots(options.store) };
  return {
    async preview(request, signal) {
      const opening = await openAnswer(parts, request);
      return toPreview(await prepareAnswer(parts, opening, signal), counter);
    },
  };
}

function toPreview(preparation: Preparation, counter: TokenCounter): PromptPreview {
  const { plan, model, request, asked, searchQuery, lexicalOnly } = preparation;
  const { id } = model.caller;
  const shared = {
    model: { id, route: model.route ?? [id], readsPrompts: model.readsPrompts },
    searchQuery,
    lexicalOnly,
  };
  if (plan.type === 'say') {
    return {
      ...shared,
      templateVersion: templateOf(request.bot).version,
      fixedAnswer: plan.text,
      messages: [],
      variables: [],
      passages: [],
      temperature: null,
      maxOutputTokens: null,
      tokens: { system: 0, history: 0, question: counter.count(asked.question), total: 0 },
    };
  }
  const { messages, temperature, maxOutputTokens } = plan.request;
  const count = (some: readonly ChatMessage[]): number =>
    some.reduce((sum, { content }) => sum + counter.count(content), 0);
  return {
    ...shared,
    templateVersion: plan.prompt.template.version,
    fixedAnswer: null,
    messages,
    variables: variablesOf(plan.prompt, counter),
    passages: plan.passages.map((passage) => ({ ...passage, tokens: counter.count(passage.text) })),
    temperature: temperature ?? null,
    maxOutputTokens: maxOutputTokens ?? null,
    tokens: {
      system: count(messages.slice(0, 1)),
      history: count(messages.slice(1, -1)),
      question: count(messages.slice(-1)),
      total: countPrompt(messages, counter),
    },
  };
}

function variablesOf(
  { template, values }: Extract<Preparation['plan'], { readonly type: 'ask' }>['prompt'],
  counter: TokenCounter,
): readonly PreviewedVariable[] {
  return Object.entries(PROMPT_VARIABLES).map(([key, { type, needed }]) => {
    const name = key as PromptVariableName;
    const value = values[name];
    return { name, type, needed, used: namesVariable(template.nodes, name), value, tokens: counter.count(value) };
  });
}
