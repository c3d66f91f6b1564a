import type { Clock, IdMaker } from '../../kernel/index.ts';
import type { ModelCallReport, TokenCounter } from '../../llm/index.ts';
import type { UsageRow } from '../../store/index.ts';
import type { NewUsage, UsageLedger } from '../ledger/index.ts';
import type { AnswerRequest, EmbeddingUse } from '../ports.ts';

/** How an answer ended, for one that no upstream call was made for. */
type AnswerEnd = Pick<UsageRow, 'model' | 'outcome' | 'errorCode' | 'durationMs'>;

/** What is used on behalf of one answer, on its way to the ledger. */
export interface AnswerUsage {
  /** The id of the answer's message. */
  readonly answerId: string;
  readonly onCall: (report: ModelCallReport) => void;
  readonly onSummaryCall: (report: ModelCallReport) => void;
  readonly onEmbedding: (use: EmbeddingUse) => void;
  /** Rows of the answer belong to this conversation from now on. */
  inConversation(id: string | null): void;
  /** The prompt is made from this version of a template. */
  withPrompt(version: string): void;
  /** A cache answers: the request costs nothing. */
  onCached(cache: 'exact' | 'semantic', answer: Pick<UsageRow, 'model' | 'durationMs'>): void;
  /**
   * The answer has ended. The last call stands for the request; without any there is a row of no call. What is reported
   * later is written down as it comes.
   */
  settle(end: AnswerEnd): void;
}

export interface AnswerUsageParts {
  readonly ledger: Pick<UsageLedger, 'record'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly createId: IdMaker;
  readonly counter: TokenCounter;
}

const NO_CALL = {
  kind: 'chat',
  keyFingerprint: null,
  errorCode: null,
  cache: null,
  calls: 0,
  requests: 1,
  inputTokens: 0,
  cachedInputTokens: 0,
  outputTokens: 0,
  usageSource: 'counted',
  firstTokenMs: null,
} as const;

/** The usage of an answer that is being made. */
export function createAnswerUsage(parts: AnswerUsageParts, request: AnswerRequest): AnswerUsage {
  const { ledger, clock, createId } = parts;
  let answerId: string | null = null;
  // Made when it is needed: ids sort by their time, and the question comes before the answer.
  const idOfAnswer = (): string => {
    answerId ??= request.messageId ?? createId('msg');
    return answerId;
  };
  let conversationId: string | null = null;
  let promptVersion: string | null = null;
  let state: 'open' | 'cached' | 'settled' = 'open';
  /** Who handed the answer over has counted the request. */
  const requests = request.continues?.booked === undefined ? 1 : 0;
  const calls: ModelCallReport[] = [];

  const write = (
    usage: Omit<
      NewUsage,
      'id' | 'tenantId' | 'botId' | 'keyId' | 'endUser' | 'conversationId' | 'answerId' | 'createdAt'
    >,
  ) =>
    ledger.record({
      ...usage,
      id: createId('req'),
      tenantId: request.bot.tenantId,
      botId: request.bot.id,
      keyId: request.keyId ?? null,
      endUser: request.endUser ?? null,
      conversationId,
      answerId: idOfAnswer(),
      createdAt: clock.now(),
    });

  const writeCall = (report: ModelCallReport, row: Pick<UsageRow, 'kind' | 'requests'>): void => {
    const { inputTokens, outputTokens, cachedInputTokens = 0, cacheWriteTokens = 0 } = report.usage;
    const { model, keyFingerprint, outcome, errorCode, usageSource, firstTokenMs, durationMs } = report;
    const call = { model, keyFingerprint, outcome, errorCode, usageSource, firstTokenMs, durationMs };
    const prompt = row.kind === 'chat' && promptVersion !== null ? { promptVersion } : {};
    write({
      ...row,
      ...call,
      ...prompt,
      cache: null,
      calls: 1,
      inputTokens,
      outputTokens,
      cachedInputTokens,
      cacheWriteTokens,
    });
  };

  return {
    get answerId() {
      return idOfAnswer();
    },
    onCall(report) {
      if (state === 'open') calls.push(report);
      else writeCall(report, { kind: 'chat', requests: 0 });
    },
    onSummaryCall: (report) => writeCall(report, { kind: 'summary', requests: 0 }),
    onEmbedding({ text, inputTokens, ...use }) {
      const usageSource = inputTokens === null ? 'counted' : 'provider';
      const tokens = { inputTokens: inputTokens ?? parts.counter.count(text), usageSource } as const;
      write({ ...NO_CALL, ...use, ...tokens, kind: 'embedding', calls: 1, requests: 0 });
    },
    inConversation(id) {
      conversationId = id;
    },
    withPrompt(version) {
      promptVersion = version;
    },
    onCached(cache, answer) {
      state = 'cached';
      write({ ...NO_CALL, ...answer, cache, outcome: 'ok' });
    },
    settle(end) {
      const isOpen = state === 'open';
      state = 'settled';
      for (const [position, report] of calls.entries()) {
        writeCall(report, { kind: 'chat', requests: isOpen && position === calls.length - 1 ? requests : 0 });
      }
      if (calls.length === 0 && isOpen && requests > 0) write({ ...NO_CALL, ...end });
    },
  };
}
