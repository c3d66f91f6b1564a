import { AppError } from '../../kernel/index.ts';
import { countPrompt, type TokenCounter } from '../../llm/index.ts';
import type { AnswerPlan } from './answer-plan.ts';
import type { Preparation } from './answer-preparation.ts';
import type { AnswerRecord } from './answer-record.ts';
import { createMarkerFilter, type MarkerFilter } from './marker-filter.ts';
import { createRest, createSeam } from './seam.ts';

const GO_ON =
  'Your answer was cut off at this point. Go on where it stopped: if its last word was cut off, write that word once more in full; else write only what comes next. Repeat nothing else of it, and do not speak of this.';

type AskPlan = Extract<AnswerPlan, { readonly type: 'ask' }>;

/** The text that another process has told of this answer; empty: none. */
export function toldText({ request }: Pick<Preparation, 'request'>): string {
  return (request.continues?.pieces ?? []).join('');
}

/** The plan of a model that can be asked to go on; null: the text is made once more, and must begin as it did. */
function planToGoOn({ plan, model }: Preparation): AskPlan | null {
  return plan.type === 'ask' && model.readsPrompts ? plan : null;
}

/** What this process does of an answer: all of it, or what comes behind the told text. */
export function continued(
  preparation: Preparation,
  counter: TokenCounter,
): { readonly preparation: Preparation; readonly record: Partial<Pick<AnswerRecord, 'text' | 'before'>> } {
  const told = toldText(preparation);
  if (told === '') return { preparation, record: {} };
  const plan = planToGoOn(preparation);
  if (plan === null) return { preparation, record: { text: told } };
  const { messages, maxOutputTokens } = plan.request;
  const usage = { inputTokens: countPrompt(messages, counter), outputTokens: counter.count(told) };
  const { pieces, booked = 0 } = preparation.request.continues ?? { pieces: [] };
  const rest = pieces.slice(booked).join('');
  const unbooked = rest === '' ? null : { ...usage, outputTokens: counter.count(rest) };
  const request = {
    ...plan.request,
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens: Math.max(1, maxOutputTokens - usage.outputTokens) }),
    messages: [...messages, { role: 'assistant' as const, content: told }, { role: 'user' as const, content: GO_ON }],
  };
  const before = { characters: told.length, usage, unbooked };
  return { preparation: { ...preparation, plan: { ...plan, request } }, record: { text: told, before } };
}

/** Throws `stream_interrupted` when what was told and what would be told do not go together. */
export function requireSameGround({ request }: Preparation, { passages }: AnswerRecord): void {
  if (request.continues === undefined || request.continues.pieces.length === 0) return;
  if (request.continues.passages === passages && request.responseFormat === undefined) return;
  throw new AppError('stream_interrupted', 'The answer broke off, and its sources have changed since. Ask again.', {
    retryable: true,
  });
}

/** Takes down the call whose process is gone, estimated, beside those of this process. Who handed it over did so itself. */
export function reportCallBefore({ request, usage }: Preparation, { before, startedAt }: AnswerRecord): void {
  if (request.continues === undefined || before.unbooked === null) return;
  usage.onCall({
    model: request.continues.servedBy,
    usage: before.unbooked,
    usageSource: 'counted',
    outcome: 'failed',
    errorCode: 'stream_interrupted',
    ...{ keyFingerprint: null, firstTokenMs: null, durationMs: 0, startedAt },
  });
}

/** What is passed on of a model's text: markers of passages that there are, and behind a told text only what is new. */
export function createTextPass(preparation: Preparation, passageCount: number | null): MarkerFilter {
  const filter = createMarkerFilter(passageCount);
  const told = toldText(preparation);
  if (told === '') return filter;
  const plan = planToGoOn(preparation);
  if (plan === null) return inTurn(filter, createRest(told));
  const held = told.length - filter.push(told).length;
  return inTurn(createSeam(told, wordsOf(plan, told)), withoutStart(filter, held));
}

function inTurn(first: MarkerFilter, second: MarkerFilter): MarkerFilter {
  return {
    push: (delta) => second.push(first.push(delta)),
    flush: () => second.push(first.flush()) + second.flush(),
  };
}

/** So many characters were told already. */
function withoutStart(filter: MarkerFilter, characters: number): MarkerFilter {
  let left = characters;
  const rest = (text: string): string => {
    const cut = Math.min(left, text.length);
    left -= cut;
    return text.slice(cut);
  };
  return { push: (delta) => rest(filter.push(delta)), flush: () => rest(filter.flush()) };
}

/** The words of the prompt, and those of the told text but its last one, which may be cut off. */
function wordsOf({ request }: AskPlan, told: string): (word: string) => boolean {
  let words: ReadonlySet<string> | null = null;
  return (word) => {
    words ??= new Set(
      [
        ...request.messages.filter(({ content }) => content !== told).map(({ content }) => content),
        told.replace(/[\p{L}\p{N}]+$/u, ''),
      ]
        .join('\n')
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu),
    );
    return words.has(word);
  };
}
