import { type AppError, type Clock, systemClock } from '../../kernel/index.ts';
import type {
  ChatModel,
  ChatModelEvent,
  ChatModelRequest,
  FinishReason,
  TokenUsage,
  ToolCallDelta,
} from '../../llm/index.ts';

/** One thing a scripted model does. */
export type FakeStep =
  | { readonly say: string }
  | { readonly callTool: Omit<ToolCallDelta, 'type'> }
  | { readonly waitMs: number }
  /** Says nothing more until the call is aborted. */
  | { readonly hang: true }
  | { readonly fail: AppError }
  | { readonly end: FinishReason; readonly usage?: TokenUsage };

/** A text is said word by word and ended with `stop`; an error fails before any word; steps are done in order. */
export type FakeReply = string | AppError | readonly FakeStep[];

export interface FakeChatModel extends ChatModel {
  /** Every call so far, in order. */
  readonly calls: readonly FakeCall[];
  /** Appends to the replies that are left. */
  willReply(...replies: readonly FakeReply[]): void;
}

export interface FakeCall {
  readonly request: ChatModelRequest;
  /** How the call went; `left` when the stream was cut off, or its reader left early. */
  readonly outcome: 'running' | 'ended' | 'failed' | 'aborted' | 'left';
}

export interface FakeChatModelOptions {
  readonly id?: string;
  /** One for each call, in order. A call without a reply throws. */
  readonly replies?: readonly FakeReply[];
  readonly clock?: Clock;
}

/** A chat model that does what its script says, for tests. Steps that do not end or fail leave the stream cut off. */
export function createFakeChatModel({
  id = 'fake/model',
  replies = [],
  clock = systemClock,
}: FakeChatModelOptions = {}): FakeChatModel {
  const left = [...replies];
  const calls: (FakeCall & { outcome: FakeCall['outcome'] })[] = [];
  return {
    id,
    calls,
    willReply: (...more) => void left.push(...more),
    async *doStream(request, { signal }) {
      const reply = left.shift();
      if (reply === undefined) throw new Error('The fake model was asked more often than it has replies.');
      const call: FakeCall & { outcome: FakeCall['outcome'] } = { request, outcome: 'running' };
      calls.push(call);
      try {
        for await (const event of play(stepsOf(reply), clock, signal)) {
          if (event.type === 'end') call.outcome = 'ended';
          yield event;
        }
      } catch (error) {
        call.outcome = signal?.aborted ? 'aborted' : 'failed';
        throw error;
      } finally {
        if (call.outcome === 'running') call.outcome = 'left';
      }
    },
  };
}

function stepsOf(reply: FakeReply): readonly FakeStep[] {
  if (reply instanceof Error) return [{ fail: reply }];
  if (typeof reply !== 'string') return reply;
  const words = reply.match(/\s*\S+/gu) ?? [];
  const usage = { inputTokens: 1, outputTokens: words.length };
  return [...words.map((say): FakeStep => ({ say })), { end: 'stop', usage }];
}

async function* play(steps: readonly FakeStep[], clock: Clock, signal?: AbortSignal): AsyncGenerator<ChatModelEvent> {
  for (const step of steps) {
    signal?.throwIfAborted();
    if ('say' in step) yield { type: 'text-delta', text: step.say };
    else if ('callTool' in step) yield { type: 'tool-call-delta', ...step.callTool };
    else if ('waitMs' in step) await clock.sleep(step.waitMs, signal);
    else if ('hang' in step) await untilAborted(signal);
    else if ('fail' in step) throw step.fail;
    else yield { type: 'end', finishReason: step.end, usage: step.usage ?? null };
  }
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
