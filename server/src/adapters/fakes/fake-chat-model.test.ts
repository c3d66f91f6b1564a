import { describe, expect, it } from 'vitest';
import { AppError, createManualClock } from '../../kernel/index.ts';
import { type ContractReply, describeChatModelContract } from '../../llm/chat-model.contract.ts';
import type { ChatModelEvent } from '../../llm/index.ts';
import { createFakeChatModel, type FakeChatModel, type FakeReply } from './fake-chat-model.ts';

const busy = new AppError('provider_error', 'busy', { retryable: true });

function replyFor(reply: ContractReply): FakeReply {
  if (reply.kind === 'says') return [...reply.tokens.map((say) => ({ say })), { end: 'stop' }];
  const before = reply.when === 'mid-stream' ? [{ say: 'Hello' }, { say: ' there' }] : [];
  return [...before, reply.kind === 'fails' ? { fail: busy } : { hang: true }];
}

describeChatModelContract('fake', () => {
  let model: FakeChatModel | undefined;
  return {
    model: (reply) => {
      model = createFakeChatModel({ replies: [replyFor(reply)] });
      return model;
    },
    untilCancelled: async () => expect(model?.calls.at(-1)?.outcome).toMatch(/aborted|left/),
    stop: async () => {},
  };
});

describe('fake chat model', () => {
  const request = { messages: [{ role: 'user', content: 'Hi' }], grounding: null } as const;

  it('throws when it was told nothing', async () => {
    const asking = createFakeChatModel().doStream(request, {})[Symbol.asyncIterator]().next();
    await expect(asking).rejects.toThrow('more often than it has replies');
  });

  it('gives its replies in order and records the requests', async () => {
    const model = createFakeChatModel({ replies: ['one', busy] });
    model.willReply('three');
    const ends: string[] = [];
    for (let call = 0; call < 3; call += 1) {
      try {
        let text = '';
        for await (const event of model.doStream(request, {})) if (event.type === 'text-delta') text += event.text;
        ends.push(text);
      } catch (error) {
        ends.push((error as AppError).code);
      }
    }
    expect(ends).toEqual(['one', 'provider_error', 'three']);
    expect(model.calls.map((call) => call.outcome)).toEqual(['ended', 'failed', 'ended']);
    expect(model.calls[0]?.request).toBe(request);
  });

  it('waits by the clock it was given', async () => {
    const clock = createManualClock();
    const model = createFakeChatModel({ replies: [[{ waitMs: 1000 }, { say: 'late' }]], clock });
    let first: IteratorResult<ChatModelEvent> | undefined;
    const asking = model.doStream(request, {})[Symbol.asyncIterator]().next();
    void asking.then((result) => {
      first = result;
    });
    await clock.advance(999);
    expect(first).toBeUndefined();
    await clock.advance(1);
    expect(first?.value).toEqual({ type: 'text-delta', text: 'late' });
  });
});
