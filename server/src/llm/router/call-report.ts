import type { Clock } from '../../kernel/index.ts';
import type { ChatModelEvent, ChatModelRequest, TokenCounter, TokenUsage } from '../ports.ts';
import { countPrompt } from '../token-usage.ts';
import type { ModelCallReport } from './model-call.ts';
import type { ModelStreamEnd } from './model-stream.ts';
import type { ModelTarget } from './model-target.ts';

/** Takes down what a call says, for its report. */
export interface CallRecorder {
  take(event: ChatModelEvent): void;
  /** Whether there was a visible token or a call of a tool. */
  hasSpoken(): boolean;
  report(end: ModelStreamEnd): ModelCallReport;
}

export function createCallRecorder(
  target: ModelTarget,
  request: ChatModelRequest,
  { clock, counter }: { readonly clock: Clock; readonly counter: TokenCounter },
): CallRecorder {
  const startedAt = clock.now();
  let firstTokenMs: number | null = null;
  let hasBegun = false;
  let said = '';
  let usage: TokenUsage | null = null;
  return {
    take(event) {
      hasBegun = true;
      if (event.type === 'end') {
        usage = event.usage;
        return;
      }
      const isCall = event.type === 'tool-call-delta';
      said += isCall ? (event.name ?? '') + event.argumentsText : event.text;
      if (firstTokenMs === null && (isCall || event.text.trim() !== '')) firstTokenMs = clock.now() - startedAt;
    },
    hasSpoken: () => firstTokenMs !== null,
    report(end) {
      const errorCode = end.outcome === 'failed' ? end.error.code : null;
      // A provider that was left or kept silent has taken the prompt in; one that refused has not.
      const wasTaken = hasBegun || end.outcome !== 'failed' || errorCode === 'provider_timeout';
      return {
        model: target.model.id,
        keyFingerprint: target.keyFingerprint,
        outcome: end.outcome,
        errorCode,
        usage: usage ?? {
          inputTokens: wasTaken ? countPrompt(request.messages, counter) : 0,
          outputTokens: said === '' ? 0 : counter.count(said),
        },
        usageSource: usage === null ? 'counted' : 'provider',
        startedAt,
        firstTokenMs,
        durationMs: clock.now() - startedAt,
      };
    },
  };
}
