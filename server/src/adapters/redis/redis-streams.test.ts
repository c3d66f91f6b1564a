import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AnswerEvent, type Answerer, type AnswerStreams, createAnswerStreams } from '../../chat/index.ts';
import {
  AppError,
  createIdMaker,
  createManualClock,
  type ManualClock,
  silentLogger,
  silentMeter,
} from '../../kernel/index.ts';
import type { Bot } from '../../store/index.ts';
import type { OpenedRedis } from './index.ts';
import { openForTest, until } from './redis-parts.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from './redis-server.contract.ts';

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

/** A process: its Redis, and streams of an answer that says what it is told to. */
interface Process {
  readonly redis: OpenedRedis;
  readonly streams: AnswerStreams;
  say(text: string | null): void;
}

describeWithRedis('answers of another process', () => {
  let server: TestRedis;
  let clock: ManualClock;
  let maker: Process;
  let other: Process;
  beforeEach(async () => {
    server = await startTestRedis();
    clock = createManualClock();
    [maker, other] = await Promise.all([openProcess(), openProcess()]);
  });
  afterEach(async () => {
    await Promise.all([maker.redis.stop(), other.redis.stop()]);
    await server.stop();
  });

  async function openProcess(): Promise<Process> {
    const redis = await openForTest({ url: server.url, clock });
    const said: (string | null)[] = [];
    let wake = (): void => {};
    const answerer: Answerer = {
      async *answer(_request, signal) {
        yield START;
        for (;;) {
          const text = said.shift();
          if (signal?.aborted) throw signal.reason;
          if (text === null) break;
          if (text === undefined) {
            await new Promise<void>((resolve) => {
              wake = resolve;
              signal?.addEventListener('abort', () => resolve());
            });
          } else yield { type: 'text-delta', text };
        }
        yield END;
      },
    };
    const streams = createAnswerStreams({
      ...{ answerer, buffer: redis.streams, bus: redis.bus, clock },
      createId: createIdMaker(clock.now),
      logger: silentLogger,
      meter: silentMeter,
    });
    const say = (text: string | null): void => {
      said.push(text);
      wake();
    };
    return { redis, streams, say };
  }

  /** Begins an answer that somebody reads, and resolves to its id. */
  async function begin(): Promise<{ readonly id: string; readonly ended: Promise<string> }> {
    const bot = { id: 'bot_1', tenantId: 'tnt_1' } as Bot;
    const { stream } = await maker.streams.begin({ answer: { bot, messages: [] } as never, model: 'guide' });
    const ended = readText(stream.read());
    await until(async () => (await other.streams.find(stream.about.id)) !== null);
    return { id: stream.about.id, ended };
  }

  /** The text of a stream by its numbers, and how it ended. */
  async function readText(
    batches: AsyncIterable<{ readonly first: number; readonly items: readonly AnswerEvent[] }> | undefined,
    onText: (text: string) => void = () => {},
  ): Promise<string> {
    let text = '';
    let next = 1;
    try {
      for await (const { first, items } of batches ?? []) {
        expect(first).toBe(next);
        next = first + items.length;
        for (const item of items) if (item.type === 'text-delta') text += item.text;
        onText(text);
      }
      return text;
    } catch (error) {
      return `${text} ${error instanceof AppError ? error.code : String(error)}`;
    }
  }

  async function follow(id: string) {
    const seen = { text: '' };
    const stream = await other.streams.find(id);
    expect(stream?.about).toMatchObject({ id, tenantId: 'tnt_1', botId: 'bot_1', model: 'guide' });
    const ended = readText(stream?.read(), (text) => {
      seen.text = text;
    });
    return { seen, ended };
  }

  it('are followed while they are made', async () => {
    const { id, ended } = await begin();
    maker.say('one ');
    const viewer = await follow(id);
    await until(() => viewer.seen.text === 'one ');
    maker.say('two');
    await until(() => viewer.seen.text === 'one two');
    maker.say(null);
    expect(await Promise.all([ended, viewer.ended])).toEqual(['one two', 'one two']);
    await until(async () => (await readText((await other.streams.find(id))?.read())) === 'one two');
  });

  it('are stopped', async () => {
    const { id, ended } = await begin();
    maker.say('one ');
    const viewer = await follow(id);
    await until(() => viewer.seen.text === 'one ');
    expect(await other.streams.stop(id)).toBe(true);
    expect(await Promise.all([ended, viewer.ended])).toEqual(['one  answer_stopped', 'one  answer_stopped']);
    expect(await other.streams.stop(id)).toBe(false);
    expect(await other.streams.stop('msg_unknown')).toBe(false);
  });

  it('lose and double nothing when Redis comes back empty, or was away at their end', async () => {
    const { id, ended } = await begin();
    maker.say('one ');
    const viewer = await follow(id);
    await until(() => viewer.seen.text === 'one ');
    await server.stop();
    await until(() => maker.redis.state() === 'away');
    maker.say('two ');
    maker.say('three');
    maker.say(null);
    expect(await ended).toBe('one two three');
    await server.start();
    expect(await viewer.ended).toBe('one two three');
    expect(await readText((await other.streams.find(id))?.read())).toBe('one two three');
  });

  it('go on for their readers when Redis was paused', async () => {
    const { id } = await begin();
    maker.say('one ');
    const viewer = await follow(id);
    await until(() => viewer.seen.text === 'one ');
    server.pause();
    maker.say('two ');
    await until(() => maker.redis.state() === 'away');
    maker.say('three');
    server.resume();
    await until(() => viewer.seen.text === 'one two three');
    maker.say(null);
    expect(await viewer.ended).toBe('one two three');
  });

  it('end with stream_interrupted when the process that makes them is gone', async () => {
    const { id } = await begin();
    maker.say('one ');
    const viewer = await follow(id);
    await until(() => viewer.seen.text === 'one ');
    await maker.redis.stop();
    let hasEnded = false;
    void viewer.ended.then(() => {
      hasEnded = true;
    });
    // Its sign of life goes by the time of Redis, the patience of the reader by ours.
    await until(async () => {
      await clock.advance(1000);
      return hasEnded;
    });
    expect(await viewer.ended).toBe('one  stream_interrupted');
  });
});
