import { describe, expect, it } from 'vitest';
import type { ModelCallReport } from '../../llm/index.ts';
import type { NewUsage } from '../ledger/index.ts';
import type { AnswerRequest } from '../ports.ts';
import { createAnswerUsage } from './answer-usage.ts';

const report: ModelCallReport = {
  model: 'anthropic/claude-test',
  keyFingerprint: null,
  outcome: 'ok',
  errorCode: null,
  usage: { inputTokens: 100, outputTokens: 10, cachedInputTokens: 20, cacheWriteTokens: 30 },
  usageSource: 'provider',
  startedAt: 1,
  firstTokenMs: 5,
  durationMs: 9,
};

describe('usage of an answer', () => {
  it('charges what was written to a prompt cache, and counts one request however many calls it took', () => {
    const rows: NewUsage[] = [];
    const usage = createAnswerUsage(
      {
        ledger: { record: (row) => void rows.push(row) },
        clock: { now: () => 1 },
        createId: (prefix) => `${prefix}_1`,
        counter: { count: () => 0 },
      },
      { bot: { id: 'bot_1', tenantId: 'tnt_1' }, messages: [] } as unknown as AnswerRequest,
    );
    usage.onCall({ ...report, outcome: 'failed', errorCode: 'provider_error' });
    usage.onCall(report);
    usage.settle({ model: report.model, outcome: 'ok', errorCode: null, durationMs: 9 });
    // The loser of a hedge may end when the answer has.
    usage.onCall({ ...report, outcome: 'cancelled' });
    expect(rows.map(({ outcome, requests }) => `${outcome} ${requests}`)).toEqual(['failed 0', 'ok 1', 'cancelled 0']);
    expect(rows[1]).toMatchObject({ inputTokens: 100, cachedInputTokens: 20, cacheWriteTokens: 30, outputTokens: 10 });
  });
});
