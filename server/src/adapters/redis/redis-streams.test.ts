import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AnswerEvent,
  type Answerer,
  type AnswerRequest,
  type AnswerStreams,
  createAnswerStreams,
} from '../../chat/index.ts';
import {
  AppError,
  createIdMaker,
  createManualClock,
  type ManualClock,
  silentLogger,
  silentMeter,
} from '../../kernel/index.ts';
import type { Bot, IdempotencyRecord, Store } from '../../store/index.ts';
import type { OpenedRedis } from './index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { openForTest, until } from './redis-parts.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from './redis-server.contract.ts';
import type { RedisSettings } from './redis-settings.ts';
import { takeUpStream } from './redis-stream-takeover.ts';

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

const bot = { id: 'bot_1', tenantId: 'tnt_1' } as Bot;
const nameOf = (id: string) => ({ tenantId: 'tnt_1', id });

/** The part of a database that remembers keys of requests. */
function createRecords(): Pick<Store, 'forTenant'> {
  const records = new Map<string, IdempotencyRecord>();
  const set = (key: string, changes: Partial<IdempotencyRecord>): void => {
    const record = records.get(key);
    if (record !== undefined) records.set(key, { ...record, ...changes });
  };
  const idempotency = {
    async claim(record: Pick<IdempotencyRecord, 'key' | 'fingerprint' | 'createdAt'>) {
      const held = records.get(record.key) ?? null;
      if (held === null) records.set(record.key, { state: 'running', status: null, body: null, ...record });
      return held;
    },
    complete: async (key: string, response: { readonly status: number; readonly body: string }) =>
      set(key, { ...response, state: 'done' }),
    release: async (key: string) => void records.delete(key),
    async passOn(key: string, { from, to }: { readonly from: string; readonly to: Partial<IdempotencyRecord> }) {
      const isSame = records.get(key)?.body === from;
      if (isSame) set(key, { ...to, state: 'running' });
      return isSame;
    },
  };
  const bots = { get: async (id: string) => (id === bot.id ? bot : null) };
  return { forTenant: () => ({ idempotency, bots }) as never };
}

/** A process: its Redis, and streams of an answer that says what it is told to. */
interface Process {
  readonly redis: OpenedRedis;
  readonly streams: AnswerStreams;
  say(text: string | null): void;
  /** Answers that it has begun to make. */
  readonly made: { count: number };
  readonly requests: readonly AnswerRequest[];
  /** Why answers that it was asked for had ended before they began. */
  readonly aborted: readonly unknown[];
}

describeWithRedis('answers of another process', () => {
  let server: TestRedis;
  let clock: ManualClock;
  let maker: Process;
  let other: Process;
  let store: Pick<Store, 'forTenant'>;
  beforeEach(async () => {
    server = await startTestRedis();
    clock = createManualClock();
    store = createRecords();
    [maker, other] = await Promise.all([openProcess(), openProcess()]);
  });
  afterEach(async () => {
    await Promise.all([maker.redis.stop(), other.redis.stop()]);
    await server.stop();
  });

  async function openProcess(): Promise<Process> {
    const redis = await openForTest({ url: server.url, clock });
    const said: (string | null)[] = [];
    const made = { count: 0 };
    const requests: AnswerRequest[] = [];
    const aborted: unknown[] = [];
    let wake = (): void => {};
    const answerer: Answerer = {
      async *answer(request, signal, reportUsage) {
        requests.push(request);
        if (signal?.aborted) {
          aborted.push((signal.reason as AppError).code);
          throw signal.reason;
        }
        made.count += 1;
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
        reportUsage?.({ inputTokens: 1, outputTokens: 2 });
        yield END;
      },
    };
    const streams = createAnswerStreams({
      ...{ answerer, buffer: redis.streams, bus: redis.bus, chatNames: redis.cache, store, clock },
      createId: createIdMaker(clock.now),
      logger: silentLogger,
      meter: silentMeter,
    });
    const say = (text: string | null): void => {
      said.push(text);
      wake();
    };
    return { redis, streams, say, made, requests, aborted };
  }

  /** Begins an answer that somebody reads, and resolves to its id. */
  async function begin(): Promise<{ readonly id: string; readonly ended: Promise<string> }> {
    const { stream } = await maker.streams.begin({ answer: { bot, messages: [] } as never, model: 'guide' });
    const ended = readText(stream.read());
    await until(async () => (await other.streams.find(stream.about)) !== null);
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

  async function follow(id: string, where = other) {
    const seen = { text: '' };
    const stream = await where.streams.find(nameOf(id));
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
    await until(async () => (await readText((await other.streams.find(nameOf(id)))?.read())) === 'one two');
  });

  it('are stopped', async () => {
    const { id, ended } = await begin();
    maker.say('one ');
    const viewer = await follow(id);
    await until(() => viewer.seen.text === 'one ');
    expect(await other.streams.stop(nameOf(id))).toBe(true);
    expect(await Promise.all([ended, viewer.ended])).toEqual(['one  answer_stopped', 'one  answer_stopped']);
    expect(await other.streams.stop(nameOf(id))).toBe(false);
    expect(await other.streams.stop(nameOf('msg_unknown'))).toBe(false);
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
    expect(await readText((await other.streams.find(nameOf(id)))?.read())).toBe('one two three');
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

  describe('whose process is gone', () => {
    /** Nobody reads any more what the maker writes, as if it were killed: its time goes by. */
    async function untilOver(ended: Promise<string>, ...more: Promise<string>[]): Promise<readonly string[]> {
      let isOver = false;
      const all = Promise.all([ended, ...more]);
      void all.then(() => {
        isOver = true;
      });
      // Its sign of life goes by the time of Redis, the patience of the reader by ours.
      await until(async () => {
        await clock.advance(1000);
        return isOver;
      });
      return all;
    }

    it('are gone on with where they are read, with the numbers that they have', async () => {
      const { id } = await begin();
      maker.say('one ');
      const viewer = await follow(id);
      await until(() => viewer.seen.text === 'one ');
      await maker.redis.stop();
      other.say('two');
      other.say(null);
      expect(await untilOver(viewer.ended)).toEqual(['one two']);
      const { messages, continues, messageId } = other.requests[0] ?? {};
      const told = { conversationId: null, servedBy: 'openai/x', passages: null, pieces: ['one '] };
      expect({ messages, continues, messageId }).toEqual({ messages: [], continues: told, messageId: id });
      expect(await readText((await other.streams.find(nameOf(id)))?.read())).toBe('one two');
    });

    it('count for who reads them there: the one who asked, or who asks again', async () => {
      const used: string[] = [];
      const usedBy = (who: string) => () => void used.push(who);
      const { id } = await begin();
      maker.say('one ');
      const claiming = await maker.streams.begin({ ...asked(), reportUsage: usedBy('begun') });
      const begun = readText(claiming.stream.read());
      maker.say('one ');
      await until(async () => (await other.streams.find(claiming.stream.about)) !== null);
      const stream = await other.streams.find(nameOf(id), usedBy('found'));
      const joining = await other.streams.begin({ ...asked(), reportUsage: usedBy('joined') });
      await maker.redis.stop();
      for (const read of [stream, joining.stream]) {
        other.say(null);
        await untilOver(readText(read?.read()));
      }
      expect(used).toEqual(['found', 'joined']);
      await maker.streams.drain(0);
      await begun;
    });

    it('are gone on with by one of many who read them, and followed by the others', async () => {
      const third = await openProcess();
      const { id } = await begin();
      maker.say('one ');
      const viewers = await Promise.all([follow(id), follow(id), follow(id, third), follow(id, third)]);
      await until(() => viewers.every(({ seen }) => seen.text === 'one '));
      await maker.redis.stop();
      for (const process of [other, third]) {
        process.say('two');
        process.say(null);
      }
      const [first, ...more] = viewers.map(({ ended }) => ended);
      expect(await untilOver(first as Promise<string>, ...more)).toEqual(Array(4).fill('one two'));
      expect(other.made.count + third.made.count).toBe(1);
      await third.redis.stop();
    });

    it('are gone on with once more when that process is gone, too', async () => {
      const third = await openProcess();
      const { id } = await begin();
      maker.say('one ');
      const viewer = await follow(id, third);
      await until(() => viewer.seen.text === 'one ');
      await maker.redis.stop();
      const second = await follow(id);
      await until(async () => {
        await clock.advance(1000);
        return other.made.count + third.made.count > 0;
      });
      const [next, left] = third.made.count > 0 ? [other, third] : [third, other];
      left.say('two ');
      await until(() => viewer.seen.text === 'one two ' && second.seen.text === 'one two ');
      await left.redis.stop();
      next.say('three');
      next.say(null);
      const mine = next === third ? viewer : second;
      expect(await untilOver(mine.ended)).toEqual(['one two three']);
      await third.redis.stop();
    });

    it('end with stream_interrupted when they cannot be made here: for all who read them, and for good', async () => {
      const { stream } = await maker.streams.begin({
        answer: { bot: { ...bot, id: 'bot_deleted' }, messages: [] } as never,
        model: 'guide',
      });
      const reading = readText(stream.read());
      maker.say('one ');
      await until(async () => (await other.streams.find(stream.about)) !== null);
      const viewed = await other.streams.find(stream.about);
      const ended = readText(viewed?.read());
      await maker.redis.stop();
      expect(await untilOver(ended)).toEqual(['one  stream_interrupted']);
      expect(viewed?.canResume(new AppError('stream_interrupted', ''))).toBe(false);
      const again = await other.streams.find(stream.about);
      expect(await readText(again?.read())).toBe('one  stream_interrupted');
      expect(again?.canResume(new AppError('stream_interrupted', ''))).toBe(false);
      maker.say(null);
      await reading;
    });

    it('are not gone on with for who has more of them than was kept', async () => {
      const { id } = await begin();
      maker.say('one ');
      const stream = await other.streams.find(nameOf(id));
      const ended = readText(stream?.read({ after: 7 }));
      await maker.redis.stop();
      expect(await untilOver(ended)).toEqual(['one  stream_interrupted']);
      expect(other.made.count).toBe(0);
    });

    it('can be asked for again when Redis was lost meanwhile', async () => {
      const { id } = await begin();
      maker.say('one ');
      const stream = await other.streams.find(nameOf(id));
      const seen = { text: '' };
      const ended = readText(stream?.read(), (text) => {
        seen.text = text;
      });
      await until(() => seen.text === 'one ');
      await maker.redis.stop();
      await server.stop();
      await until(() => other.redis.state() === 'away');
      expect(await untilOver(ended)).toEqual(['one  stream_interrupted']);
      expect(stream?.canResume(new AppError('stream_interrupted', ''))).toBe(true);
      expect(other.made.count).toBe(0);
    });

    it('settle the key that they were asked for under', async () => {
      const first = await maker.streams.begin(asked());
      const reading = readText(first.stream.read());
      maker.say('one ');
      await until(async () => (await other.streams.find(first.stream.about)) !== null);
      const second = await other.streams.begin(asked());
      const ended = readText(second.stream.read());
      await maker.redis.stop();
      other.say('two');
      other.say(null);
      expect(await untilOver(ended)).toEqual(['one two']);
      const again = await other.streams.begin(asked());
      expect([second.isReplay, again.isReplay, again.stream.about.id]).toEqual([true, true, first.stream.about.id]);
      expect(await readText(again.stream.read())).toBe('one two');
      maker.say(null);
      await reading;
    });

    it('are made anew when they had told nothing, and end when nobody can make them', async () => {
      const messages: AnswerRequest['messages'] = [{ role: 'user', content: 'Where?' }];
      const order = { isResumable: false, claim: null, chatKey: null };
      for (const [id, kept] of [
        ['msg_alone', { ...order, answer: { messages } }],
        ['msg_known', { ...order, answer: { messages, conversation: 'conv_1' } }],
        ['msg_new', { ...order, answer: { messages, conversation: true as const } }],
        ['msg_lost', null],
      ] as const) {
        await maker.redis.streams.open(aboutOf(id), { order: () => kept, onReplaced() {} });
      }
      await maker.redis.stop();
      for (const id of ['msg_alone', 'msg_known', 'msg_new']) {
        other.say(id);
        other.say(null);
        const ended = readText((await other.streams.find(nameOf(id)))?.read());
        expect(await untilOver(ended)).toEqual([id]);
      }
      const told = { servedBy: '', passages: null, pieces: [] };
      expect(
        other.requests.map(({ messageId, conversation, continues }) => [messageId, conversation, continues]),
      ).toEqual([
        ['msg_alone', undefined, { conversationId: null, ...told }],
        ['msg_known', 'conv_1', { conversationId: 'conv_1', ...told }],
        ['msg_new', true, undefined],
      ]);
      for (const where of [other, await openProcess()]) {
        const ended = readText((await where.streams.find(nameOf('msg_lost')))?.read());
        expect(await untilOver(ended)).toEqual([' stream_interrupted']);
        if (where !== other) await where.redis.stop();
      }
      expect((await other.redis.streams.find(nameOf('msg_lost')))?.isOver).toBe(true);
    });

    const aboutOf = (id: string) => ({
      ...nameOf(id),
      botId: 'bot_1',
      keyId: null,
      endUser: null,
      model: 'guide',
      createdAt: clock.now(),
    });

    it('are gone on with when the reply to their take-up was lost', async () => {
      const { id, ended } = await begin();
      maker.say('one ');
      const viewer = await follow(id);
      await until(() => viewer.seen.text === 'one ');
      await maker.redis.stop();
      const client = new Redis(server.url);
      // It has stopped, and says so: one sign of life is left.
      const [sign = ''] = await client.keys('test:@/process/*');
      const taken = await takeUpStream(losing('stream_take_up', client), nameOf(id), {
        ...{ maker: sign.slice(sign.lastIndexOf('/') + 1), keepMs: 60_000, makesIt: false },
      });
      expect([taken, await client.xlen(`test:tnt_1/@stream/${id}`)]).toEqual([null, 5]);
      client.disconnect();
      other.say('two');
      other.say(null);
      expect(await untilOver(viewer.ended)).toEqual(['one two']);
      expect(other.made.count).toBe(1);
      maker.say(null);
      await ended;
    });

    /** Carries a command out, and does not get its reply. */
    function losing(lost: string, client: Redis): RedisConnection {
      const settings: RedisSettings = { url: server.url, prefix: 'test:', timeoutMs: 1000 };
      const ask: RedisConnection['ask'] = async (command, act, away) => {
        const value = await act(client);
        return command === lost ? away() : value;
      };
      return {
        name: 'redis',
        settings,
        ask,
        state: () => 'up',
        now: clock.now,
        onUp() {},
        async start() {},
        async stop() {},
      };
    }

    it('are left by a process that was only frozen, whose words are no part of them', async () => {
      const { id, ended } = await begin();
      maker.say('one ');
      const viewer = await follow(id);
      await until(() => viewer.seen.text === 'one ');
      const client = new Redis(server.url);
      other.say('two ');
      await until(async () => {
        // As if it had not run for a while: its sign of life is gone, and comes back later.
        const [makerKey] = await client.xrange(`test:tnt_1/@stream/${id}`, '-', '+', 'COUNT', 1).then(processesOf);
        await client.del(makerKey ?? '');
        await clock.advance(500);
        return viewer.seen.text === 'one two ';
      });
      maker.say('TOO LATE ');
      expect(await ended).toBe('one TOO LATE  stream_interrupted');
      other.say('three');
      other.say(null);
      expect(await viewer.ended).toBe('one two three');
      await until(async () => {
        const there = await maker.streams.find(nameOf(id));
        return there !== null && (await readText(there.read())) === 'one two three';
      });
      client.disconnect();
    });

    it('are stopped where they were told to, stored, and made anew by nobody', async () => {
      const first = await maker.streams.begin(asked());
      const reading = readText(first.stream.read());
      maker.say('one ');
      await until(async () => (await other.streams.find(first.stream.about)) !== null);
      const viewer = await follow(first.stream.about.id);
      await until(() => viewer.seen.text === 'one ');
      await maker.redis.stop();
      expect(await other.streams.stop(first.stream.about)).toBe(true);
      expect(await untilOver(viewer.ended)).toEqual(['one  answer_stopped']);
      const { continues, messageId } = other.requests[0] ?? {};
      expect([continues?.pieces, messageId, other.aborted]).toEqual([
        ['one '],
        first.stream.about.id,
        ['answer_stopped'],
      ]);
      const again = await other.streams.begin(asked());
      expect([again.isReplay, await readText(again.stream.read())]).toEqual([true, 'one  answer_stopped']);
      expect(await other.streams.stop(first.stream.about)).toBe(false);
      maker.say(null);
      await reading;
    });

    function processesOf(entries: [string, string[]][]): string[] {
      return entries.map(([, fields]) => `test:@/process/${JSON.parse(fields[1] ?? '{}').maker}`);
    }
  });

  describe('whose process stops', () => {
    it('are gone on with at once where they are read, with the numbers that they have', async () => {
      const { id, ended } = await begin();
      maker.say('one ');
      const viewer = await follow(id);
      await until(() => viewer.seen.text === 'one ');
      await maker.streams.drain(0);
      expect(await ended).toBe('one  server_draining');
      other.say('two');
      other.say(null);
      expect(await viewer.ended).toBe('one two');
      const told = { conversationId: null, servedBy: 'openai/x', passages: null, pieces: ['one '], booked: 1 };
      expect(other.requests.map(({ continues, messageId }) => ({ continues, messageId }))).toEqual([
        { continues: told, messageId: id },
      ]);
      expect(await readText((await other.streams.find(nameOf(id)))?.read())).toBe('one two');
    });

    it('are gone on with later, by one of many, and once more when that stops, too', async () => {
      const third = await openProcess();
      const { id, ended } = await begin();
      maker.say('one ');
      await canRead(other, id, 'one ');
      await maker.streams.drain(0);
      await Promise.all([ended, maker.redis.stop()]);
      const viewers = await Promise.all([follow(id), follow(id)]);
      other.say('two ');
      await until(() => viewers.every(({ seen }) => seen.text === 'one two '));
      const follower = await follow(id, third);
      await until(() => follower.seen.text === 'one two ');
      await other.streams.drain(0);
      third.say('three');
      third.say(null);
      expect(await Promise.all(viewers.map((viewer) => viewer.ended))).toEqual(
        Array(2).fill('one two  server_draining'),
      );
      expect(await follower.ended).toBe('one two three');
      expect(third.requests[0]?.continues).toMatchObject({ pieces: ['one ', 'two '], booked: 2 });
      expect([other.made.count, third.made.count]).toEqual([1, 1]);
      await third.redis.stop();
    });

    it('count as written down as far as those told them who could', async () => {
      const third = await openProcess();
      const { id, ended } = await begin();
      maker.say('one ');
      const viewer = await follow(id);
      await until(() => viewer.seen.text === 'one ');
      await maker.streams.drain(0);
      other.say('two ');
      await until(() => viewer.seen.text === 'one two ');
      await other.redis.stop();
      await canRead(third, id, 'one two ');
      expect(await third.streams.stop(nameOf(id))).toBe(true);
      expect(third.requests[0]?.continues).toMatchObject({ pieces: ['one ', 'two '], booked: 1 });
      await ended;
      other.say(null);
      await third.redis.stop();
    });

    it('followed by it can be resumed elsewhere', async () => {
      const { id, ended } = await begin();
      maker.say('one ');
      const stream = await other.streams.find(nameOf(id));
      const seen = { text: '' };
      const left = readText(stream?.read(), (text) => {
        seen.text = text;
      });
      await until(() => seen.text === 'one ');
      await other.streams.drain(0);
      expect(await left).toBe('one  server_draining');
      expect(stream?.canResume(new AppError('server_draining', ''))).toBe(true);
      maker.say('two');
      maker.say(null);
      expect(await ended).toBe('one two');
    });

    it('are taken up by no process that stops itself', async () => {
      const { id, ended } = await begin();
      maker.say('one ');
      await canRead(other, id, 'one ');
      await Promise.all([maker.streams.drain(0), other.streams.drain(0)]);
      const stream = await other.streams.find(nameOf(id));
      expect(await readText(stream?.read())).toContain('server_draining');
      expect(stream?.canResume(new AppError('server_draining', ''))).toBe(true);
      expect(other.made.count).toBe(0);
      await ended;
    });

    it('end there when nobody else can make them', async () => {
      const content = 'x'.repeat(70_000);
      const { stream } = await maker.streams.begin({
        answer: { bot, messages: [{ role: 'user', content }] } as never,
        model: 'guide',
      });
      const ended = readText(stream.read());
      maker.say('one ');
      await canRead(other, stream.about.id, 'one ');
      await maker.streams.drain(0);
      expect(await ended).toBe('one  server_draining');
      const found = await other.streams.find(stream.about);
      expect(await readText(found?.read())).toBe('one  server_draining');
      expect(found?.canResume(new AppError('server_draining', ''))).toBe(false);
    });

    it('keep the key that they were asked for under, and the name of their chat', async () => {
      const { stream } = await maker.streams.begin({ ...asked(), chatKey: 'chat' });
      const ended = readText(stream.read());
      maker.say('one ');
      await canRead(other, stream.about.id, 'one ');
      await maker.streams.drain(0);
      await ended;
      const live = await other.streams.ofChat(bot, 'chat');
      const again = await other.streams.begin(asked());
      expect([again.isReplay, again.stream.about.id, live?.about.id]).toEqual([true, stream.about.id, stream.about.id]);
      const texts = [readText(again.stream.read()), readText(live?.read())];
      other.say('two');
      other.say(null);
      expect(await Promise.all(texts)).toEqual(['one two', 'one two']);
      await until(async () => (await other.streams.ofChat(bot, 'chat')) === null);
      const kept = await other.streams.begin(asked());
      expect([kept.isReplay, await readText(kept.stream.read())]).toEqual([true, 'one two']);
      expect(other.made.count).toBe(1);
    });

    it('are stopped without being made', async () => {
      const { id, ended } = await begin();
      maker.say('one ');
      await canRead(other, id, 'one ');
      await maker.streams.drain(0);
      await ended;
      expect(await other.streams.stop(nameOf(id))).toBe(true);
      expect(await readText((await other.streams.find(nameOf(id)))?.read())).toBe('one  answer_stopped');
      expect(other.aborted).toEqual(['answer_stopped']);
    });

    /** Resolves once so much of a stream can be read there. */
    async function canRead({ redis }: Process, id: string, wanted: string): Promise<void> {
      await until(async () => (await redis.streams.find(nameOf(id))) !== null);
      let text = '';
      for await (const { items } of (await redis.streams.find(nameOf(id)))?.read() ?? []) {
        for (const item of items) if (item.type === 'text-delta') text += item.text;
        if (text === wanted) return;
      }
    }
  });

  const claimed = { key: 'key', fingerprint: 'first' };
  const asked = (claim = claimed) => ({ answer: { bot, messages: [] } as never, model: 'guide', claim });

  it('are joined by an equal request under the same Idempotency-Key, and given to it again', async () => {
    const first = await maker.streams.begin(asked());
    const ended = readText(first.stream.read());
    maker.say('one ');
    const seconds = [asked(), asked()].map((request) => joined(request));
    maker.say('two');
    maker.say(null);
    expect(await ended).toBe('one two');
    expect(await Promise.all(seconds)).toEqual(['one two', 'one two']);
    expect(await joined(asked())).toBe('one two');
    await expect(other.streams.begin(asked({ key: 'key', fingerprint: 'another' }))).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
    expect([first.isReplay, maker.made.count, other.made.count]).toEqual([false, 1, 0]);
  });

  /** What the other process gives to the request, which must not make the answer itself. */
  async function joined(request: ReturnType<typeof asked>): Promise<string> {
    const beginning = other.streams.begin(request);
    let begun: Awaited<typeof beginning> | null = null;
    void beginning.then((result) => {
      begun = result;
    });
    // Until the answer has said something, it is looked for again and again.
    await until(async () => {
      await clock.advance(100);
      return begun !== null;
    });
    const { stream, isReplay } = await beginning;
    expect(isReplay).toBe(true);
    return readText(stream.read());
  }

  it('free the key when they fail, and when they can no longer be found', async () => {
    const failed = await maker.streams.begin(asked());
    const reading = failed.stream.read()[Symbol.asyncIterator]();
    await reading.return?.();
    await failed.stream.settled;
    const second = await other.streams.begin(asked());
    expect(second.isReplay).toBe(false);
    other.say(null);
    await readText(second.stream.read());
    await second.stream.settled;
    expect((await maker.streams.begin(asked())).isReplay).toBe(true);
    await clock.advance(61_000);
    const third = await maker.streams.begin(asked());
    expect(third.isReplay).toBe(false);
    maker.say(null);
    await readText(third.stream.read());
  });

  it('that were lost with their process are made anew, when they must have ended', async () => {
    const lost = { ...claimed, body: 'msg_lost', createdAt: clock.now() };
    expect(await store.forTenant('tnt_1').idempotency.claim(lost)).toBeNull();
    const waiting = other.streams.begin(asked()).catch((error: unknown) => error);
    let answer: unknown = null;
    void waiting.then((result) => {
      answer = result;
    });
    await until(async () => {
      await clock.advance(1000);
      return answer !== null;
    });
    expect(answer).toMatchObject({ code: 'idempotency_in_progress', retryable: true });
    await clock.advance(180_000);
    const { stream, isReplay } = await other.streams.begin(asked());
    expect(isReplay).toBe(false);
    other.say(null);
    expect(await readText(stream.read())).toBe('');
  });

  it('are found by the name of their chat while they are made', async () => {
    const { stream } = await maker.streams.begin({
      answer: { bot, messages: [] } as never,
      model: 'guide',
      chatKey: 'chat',
    });
    const ended = readText(stream.read());
    maker.say('one');
    await until(async () => (await other.streams.ofChat(bot, 'chat')) !== null);
    const live = await other.streams.ofChat(bot, 'chat');
    expect(live?.about.id).toBe(stream.about.id);
    expect(await other.streams.ofChat({ ...bot, id: 'bot_2' }, 'chat')).toBeNull();
    maker.say(null);
    expect(await Promise.all([ended, readText(live?.read())])).toEqual(['one', 'one']);
    await until(async () => (await other.streams.ofChat(bot, 'chat')) === null);
  });

  it('are neither there nor gone while Redis is away, and are found again after it', async () => {
    const { id, ended } = await begin();
    server.pause();
    const unseen = { code: 'stream_unavailable', retryable: true };
    await expect(other.streams.find(nameOf(id))).rejects.toMatchObject(unseen);
    await expect(other.streams.ofChat(bot, 'chat')).rejects.toMatchObject(unseen);
    await expect(other.streams.stop(nameOf(id))).rejects.toMatchObject(unseen);
    expect(await maker.streams.find(nameOf(id))).not.toBeNull();
    server.resume();
    await until(() => other.redis.state() === 'up');
    expect((await other.streams.find(nameOf(id)))?.about.id).toBe(id);
    maker.say(null);
    await ended;
  });

  it('stand under the tenant that they belong to', async () => {
    const { id, ended } = await begin();
    const client = new Redis(server.url);
    await until(async () => (await client.exists(`test:tnt_1/@stream/${id}`)) === 1);
    client.disconnect();
    expect(await other.streams.find({ tenantId: 'tnt_2', id })).toBeNull();
    expect(await other.streams.stop({ tenantId: 'tnt_2', id })).toBe(false);
    maker.say(null);
    await ended;
  });
});
