import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../kernel/index.ts';
import type { AnswerEvent } from '../ports.ts';
import type { StreamAbout, StreamBuffer, StreamMaking } from './ports.ts';

export const ABOUT: StreamAbout = {
  id: 'msg_1',
  tenantId: 'tnt_1',
  botId: 'bot_1',
  keyId: null,
  endUser: 'ann',
  model: 'guide',
  createdAt: 1000,
};
const START: AnswerEvent = {
  type: 'start',
  messageId: 'msg_1',
  conversationId: null,
  servedBy: 'openai/x',
  attempts: 1,
  cache: 'miss',
  degraded: [],
};
const END: AnswerEvent = {
  type: 'end',
  finishReason: 'stop',
  usage: { inputTokens: 1, outputTokens: 2 },
  citations: [],
  grounded: false,
  degraded: [],
};
const CALL: AnswerEvent = { type: 'tool-call-delta', index: 0, id: 'call_1', name: 'look', argumentsText: '{}' };
const text = (words: string): AnswerEvent => ({ type: 'text-delta', text: words });
export const MAKING: StreamMaking = { order: () => null, onReplaced: () => {} };

/** What every stream buffer must do. The buffer that is made must keep ended streams for a minute by the clock. */
export function describeStreamBuffer(
  name: string,
  make: (clock: ManualClock) => Promise<{ readonly buffer: StreamBuffer; readonly stop: () => Promise<void> }>,
): void {
  describe(`stream buffer: ${name}`, () => {
    let clock: ManualClock;
    let buffer: StreamBuffer;
    let stop: () => Promise<void>;
    beforeEach(async () => {
      clock = createManualClock();
      ({ buffer, stop } = await make(clock));
    });
    afterEach(() => stop());

    async function readAll(id: string, signal?: AbortSignal): Promise<{ numbers: number[]; events: AnswerEvent[] }> {
      const numbers: number[] = [];
      const events: AnswerEvent[] = [];
      const stream = await buffer.find({ tenantId: 'tnt_1', id });
      if (stream === null) throw new Error(`no stream ${id}`);
      for await (const { first, items } of stream.read(signal === undefined ? {} : { signal })) {
        for (const [place, item] of items.entries()) {
          numbers.push(first + place);
          events.push(item);
        }
      }
      return { numbers, events };
    }

    it('gives back every event with its number, and whose stream it is', async () => {
      await buffer.open(ABOUT, MAKING);
      await buffer.append('msg_1', { first: 1, items: [START, text('Grüß '), text('🦊'), CALL] });
      await buffer.append('msg_1', { first: 5, items: [text('\u2028 '), END] });
      await buffer.finish('msg_1', { type: 'complete' });
      expect((await buffer.find(ABOUT))?.about).toEqual(ABOUT);
      const all = [START, text('Grüß '), text('🦊'), CALL, text('\u2028 '), END];
      expect(await readAll('msg_1')).toEqual({ numbers: [1, 2, 3, 4, 5, 6], events: all });
    });

    it('gives it to nobody of another tenant', async () => {
      await buffer.open(ABOUT, MAKING);
      await buffer.append('msg_1', { first: 1, items: [START] });
      expect(await buffer.find({ ...ABOUT, tenantId: 'tnt_2' })).toBe(null);
      expect(await buffer.find(ABOUT)).not.toBe(null);
    });

    it('follows a stream while it is made, for more than one reader', async () => {
      await buffer.open(ABOUT, MAKING);
      await buffer.append('msg_1', { first: 1, items: [START] });
      const early = readAll('msg_1');
      await buffer.append('msg_1', { first: 2, items: [text('a')] });
      const late = readAll('msg_1');
      await buffer.append('msg_1', { first: 3, items: [text('b'), END] });
      await buffer.finish('msg_1', { type: 'complete' });
      const all = { numbers: [1, 2, 3, 4], events: [START, text('a'), text('b'), END] };
      expect(await Promise.all([early, late])).toEqual([all, all]);
    });

    it('ends as the stream did', async () => {
      await buffer.open(ABOUT, MAKING);
      await buffer.append('msg_1', { first: 1, items: [START, text('a')] });
      const reading = readAll('msg_1').catch((error: unknown) => error);
      await buffer.finish('msg_1', {
        type: 'failed',
        code: 'server_draining',
        message: 'The server is stopping.',
        retryable: true,
      });
      const error = { code: 'server_draining', message: 'The server is stopping.', retryable: true };
      expect(await reading).toMatchObject(error);
      await expect(readAll('msg_1')).rejects.toMatchObject(error);
    });

    it('lets a reader leave', async () => {
      await buffer.open(ABOUT, MAKING);
      const controller = new AbortController();
      const reading = readAll('msg_1', controller.signal).catch((error: unknown) => error);
      controller.abort(new Error('left'));
      expect(await reading).toMatchObject({ message: 'left' });
    });

    it('has nothing to take up while who makes it lives', async () => {
      await buffer.open(ABOUT, MAKING);
      await buffer.append('msg_1', { first: 1, items: [START, text('a')] });
      const refused = () => {
        throw new Error('It was taken up.');
      };
      expect(await buffer.takeUp(ABOUT, refused)).toBe(null);
      expect(await buffer.takeUp({ ...ABOUT, id: 'msg_2' }, refused)).toBe(null);
      await buffer.append('msg_1', { first: 3, items: [END] });
      await buffer.finish('msg_1', { type: 'complete' });
      expect(await buffer.takeUp(ABOUT, refused)).toBe(null);
      expect(await readAll('msg_1')).toEqual({ numbers: [1, 2, 3], events: [START, text('a'), END] });
    });

    it('keeps an ended stream for its time, and knows nothing of others', async () => {
      await buffer.open(ABOUT, MAKING);
      await buffer.append('msg_1', { first: 1, items: [START, END] });
      await buffer.finish('msg_1', { type: 'complete' });
      await clock.advance(59_000);
      expect(await buffer.find(ABOUT)).not.toBe(null);
      await clock.advance(2000);
      expect(await buffer.find(ABOUT)).toBe(null);
      expect(await buffer.find({ ...ABOUT, id: 'msg_2' })).toBe(null);
      await buffer.append('msg_2', { first: 1, items: [START] });
      await buffer.finish('msg_2', { type: 'complete' });
      expect(await buffer.find({ ...ABOUT, id: 'msg_2' })).toBe(null);
    });
  });
}
