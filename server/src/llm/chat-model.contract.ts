import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import type { ChatModel, ChatModelEvent, ChatModelRequest } from './ports.ts';

/** What the model is to do in its next call. */
export type ContractReply =
  | { readonly kind: 'says'; readonly tokens: readonly string[] }
  /** Fails in a way that may pass, before or after two tokens. */
  | { readonly kind: 'fails'; readonly when: 'at-once' | 'mid-stream' }
  | { readonly kind: 'hangs'; readonly when: 'at-once' | 'mid-stream' };

export interface ChatModelSetup {
  /** A model whose one call goes as told. */
  model(reply: ContractReply): Promise<ChatModel> | ChatModel;
  /** Resolves when the call has been cancelled where it is served. */
  untilCancelled(): Promise<unknown>;
  stop(): Promise<void>;
}

const request: ChatModelRequest = { messages: [{ role: 'user', content: 'Hello?' }], grounding: null };

/** What every chat model must do, whoever is behind it. */
export function describeChatModelContract(name: string, make: () => Promise<ChatModelSetup> | ChatModelSetup): void {
  describe(`chat model contract: ${name}`, () => {
    const setups: ChatModelSetup[] = [];
    const setUp = async (): Promise<ChatModelSetup> => {
      const setup = await make();
      setups.push(setup);
      return setup;
    };
    afterEach(async () => {
      await Promise.all(setups.splice(0).map((setup) => setup.stop()));
    });

    const read = async (model: ChatModel, signal?: AbortSignal) => {
      const events: ChatModelEvent[] = [];
      try {
        for await (const event of model.doStream(request, signal === undefined ? {} : { signal })) events.push(event);
        return { events, error: null };
      } catch (error) {
        return { events, error };
      }
    };
    /** However many events the tokens come in. */
    const readOn = async (iterator: AsyncIterator<ChatModelEvent>): Promise<void> => {
      while ((await iterator.next()).done !== true);
    };
    const textOf = (events: readonly ChatModelEvent[]): string =>
      events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');

    it('names itself as provider/model', async () => {
      const { model } = await setUp();
      expect((await model({ kind: 'says', tokens: ['x'] })).id).toMatch(/^[a-z0-9-]+\/\S+$/);
    });

    it.each([
      ['plain text', ['Hello', ' there', '.']],
      ['every script', ['Grüße', ' 漢字', ' नमस्ते', ' 👩‍👩‍👧', ' \u0000', '\n\r\t"\\']],
      ['text that looks like the protocol', ['data: [DONE]\n\n', '{"error":1}', '\u2028']],
    ])('says %s as it is, then ends once', async (_name, tokens) => {
      const { model } = await setUp();
      const { events, error } = await read(await model({ kind: 'says', tokens }));
      expect(error).toBeNull();
      expect(textOf(events)).toBe(tokens.join(''));
      expect(events.filter((event) => event.type === 'end')).toHaveLength(1);
      expect(events.at(-1)).toMatchObject({ type: 'end', finishReason: 'stop' });
    });

    it('says nothing and rejects when it fails at once', async () => {
      const { model } = await setUp();
      const { events, error } = await read(await model({ kind: 'fails', when: 'at-once' }));
      expect(events).toEqual([]);
      expect(error).toBeInstanceOf(AppError);
      expect(error).toMatchObject({ retryable: true });
    });

    it('says what came before it failed, and never ends', async () => {
      const { model } = await setUp();
      const { events, error } = await read(await model({ kind: 'fails', when: 'mid-stream' }));
      expect(textOf(events)).not.toBe('');
      expect(events.some((event) => event.type === 'end')).toBe(false);
      expect(error).toBeInstanceOf(AppError);
    });

    it.each(['at-once', 'mid-stream'] as const)('stops when its signal aborts while it hangs %s', async (when) => {
      const { model, untilCancelled } = await setUp();
      const controller = new AbortController();
      const iterator = (await model({ kind: 'hangs', when }))
        .doStream(request, { signal: controller.signal })
        [Symbol.asyncIterator]();
      if (when === 'mid-stream') expect((await iterator.next()).value).toMatchObject({ type: 'text-delta' });
      const waiting = readOn(iterator);
      setImmediate(() => controller.abort(new Error('left')));
      await expect(waiting).rejects.toThrow('left');
      if (when === 'mid-stream') await untilCancelled();
    });

    it('calls nobody when its signal was aborted before', async () => {
      const { model } = await setUp();
      const { events, error } = await read(
        await model({ kind: 'says', tokens: ['x'] }),
        AbortSignal.abort(new Error('left')),
      );
      expect(events).toEqual([]);
      expect(error).toMatchObject({ message: 'left' });
    });

    it('cancels the call when its reader leaves', async () => {
      const { model, untilCancelled } = await setUp();
      for await (const _event of (await model({ kind: 'hangs', when: 'mid-stream' })).doStream(request, {})) break;
      await untilCancelled();
    });
  });
}
