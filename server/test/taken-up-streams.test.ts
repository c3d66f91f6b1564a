import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  describeWithPostgres,
  startTestPostgres,
  type TestPostgres,
} from '../src/adapters/postgres/postgres-server.contract.ts';
import { describeWithRedis, startTestRedis, type TestRedis } from '../src/adapters/redis/redis-server.contract.ts';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, startBuiltServer } from './built-server.ts';
import { type Standin, startStandin } from './openai-standin.ts';

// Processes start slowly on a loaded machine, and a dead one is missed only after some seconds.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const WORDS = Array.from({ length: 60 }, (_, number) => `${number === 0 ? '' : ' '}word${number}`);
const WHOLE = WORDS.join('');
const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };

interface Reading {
  readonly message: string;
  /** Everything that came so far. */
  raw(): string;
  /** Resolves once so many pieces of text are there. */
  pieces(count: number): Promise<void>;
  /** Resolves once it has ended, in whatever way. */
  ended(): Promise<void>;
}

describeWithPostgres('streams whose server was killed', () => {
  describeWithRedis('are made to their end by another', () => {
    let database: TestPostgres;
    let redis: TestRedis;
    let standin: Standin;
    let survivor: BuiltServer;
    const started: BuiltServer[] = [];
    const folders: string[] = [];
    beforeAll(async () => {
      [database, redis, standin] = await Promise.all([
        startTestPostgres(),
        startTestRedis(),
        startStandin({ tokens: WORDS }),
      ]);
      survivor = await start();
      await callServer(survivor, { method: 'DELETE', path: '/v1/bots/demo' });
      await callServer(survivor, { path: '/v1/bots', json: { name: 'Model', slug: 'model', model: 'openai/m' } });
      const plain = { name: 'Plain', slug: 'plain', model: 'chatsphere/extractive' };
      await callServer(survivor, { path: '/v1/bots', json: plain });
      const form = new FormData();
      const text =
        'The lighthouse of Quorn is open on Tuesdays. It is closed on Mondays. The keeper of it lives in Quorn.';
      form.append('file', new Blob([`# Quorn\n\n${text}\n`]), 'quorn.md');
      const { body } = await callServer(survivor, { path: '/v1/bots/plain/sources', form });
      await jobEnded(survivor, String(body['job_id']));
    });
    afterAll(async () => {
      await Promise.all(started.map((server) => server.stop('SIGKILL')));
      await Promise.all([standin?.stop(), redis?.stop(), database?.remove()]);
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    });

    async function start(env: Readonly<Record<string, string>> = {}): Promise<BuiltServer> {
      const dataFolder = mkdtempSync(join(tmpdir(), 'chatsphere-taken-up-'));
      folders.push(dataFolder);
      const server = await startBuiltServer({
        dataFolder,
        env: {
          DATABASE_URL: database.url,
          REDIS_URL: redis.url,
          REDIS_TIMEOUT_MS: '1000',
          CHATSPHERE_SECRET: 'a secret of the tests, long enough to be one',
          OPENAI_BASE_URL: standin.url,
          OPENAI_API_KEY: 'sk-first',
          EMBEDDING_MODEL: 'local/static-en',
          EMBEDDING_FOLLOWER: 'off',
          LOG_LEVEL: 'silent',
          ...env,
        },
      });
      started.push(server);
      return server;
    }

    async function read(
      server: BuiltServer,
      path: string,
      request: { readonly json?: unknown; readonly key?: string } = {},
    ): Promise<Reading> {
      const response = await fetch(`${server.url}${path}`, {
        method: request.json === undefined ? 'GET' : 'POST',
        headers: { ...headers, ...(request.key === undefined ? {} : { 'idempotency-key': request.key }) },
        body: request.json === undefined ? null : JSON.stringify(request.json),
      });
      expect(response.status).toBe(200);
      let raw = '';
      let changed = (): void => {};
      let isOver = false;
      const reading = (async () => {
        try {
          for await (const part of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
            raw += part;
            changed();
          }
        } catch {
          // Its server was killed.
        }
        isOver = true;
        changed();
      })();
      return {
        message: String(response.headers.get('x-chatsphere-message')),
        raw: () => raw,
        async pieces(count) {
          while (piecesOf(raw).length < count && !isOver) {
            await new Promise<void>((resolve) => {
              changed = resolve;
            });
          }
        },
        ended: () => reading,
      };
    }

    const ask = (server: BuiltServer, changes: Readonly<Record<string, unknown>> = {}, key?: string) =>
      read(server, '/v1/chat/completions', {
        json: {
          model: 'model',
          stream: true,
          conversation: true,
          messages: [{ role: 'user', content: 'Count.' }],
          ...changes,
        },
        ...(key === undefined ? {} : { key }),
      });
    const resume = (server: BuiltServer, { message, raw }: Reading, format = 'openai') =>
      read(server, `/v1/messages/${message}/stream?after=${lastIdOf(raw())}&format=${format}`);

    /** Asks the database itself, which shows a tenant's rows to who names it. */
    async function query(text: string, value: string): Promise<readonly Record<string, unknown>[]> {
      const client = new Client(database.url);
      await client.connect();
      try {
        await client.query(`select set_config('app.tenant_id', 'tnt_default', false)`);
        return (await client.query(text, [value])).rows;
      } finally {
        await client.end();
      }
    }

    const messagesWith = (message: string) =>
      query(
        'select m.* from messages m join messages n using (conversation_id) where n.id = $1 order by m.number',
        message,
      );
    const usageOf = (message: string) => query('select * from usage where answer_id = $1 order by requests', message);

    it('with a model, for the reader and for a repeated request under the same key', async () => {
      standin.settings.tokenDelayMs = 100;
      const killed = await start();
      const first = await ask(killed, {}, 'once');
      await first.pieces(5);
      await killed.stop('SIGKILL');
      await first.ended();
      standin.settings.tokenDelayMs = 0;
      const [rest, parts, again] = await Promise.all([
        resume(survivor, first),
        resume(survivor, first, 'ui'),
        ask(survivor, {}, 'once'),
      ]);
      await Promise.all([rest.ended(), parts.ended(), again.ended()]);
      expect(piecesOf(first.raw()).join('') + piecesOf(rest.raw()).join('')).toBe(WHOLE);
      expect(idsOf(rest.raw())[0]).toBe(lastIdOf(first.raw()) + 1);
      expect(rest.raw().trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect(parts.raw().trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect(parts.raw()).toContain('"finishReason":"stop"');
      expect([again.message, piecesOf(again.raw()).join('')]).toEqual([first.message, WHOLE]);

      const messages = await messagesWith(first.message);
      expect(messages.map(({ role, status }) => [role, status])).toEqual([
        ['user', 'complete'],
        ['assistant', 'complete'],
      ]);
      expect(messages[1]).toMatchObject({ id: first.message, content: WHOLE });
      await expect
        .poll(async () => (await usageOf(first.message)).map(({ requests, outcome }) => [Number(requests), outcome]), {
          timeout: 30_000,
        })
        .toEqual([
          [0, 'failed'],
          [1, 'ok'],
        ]);
      const kept = await ask(survivor, {}, 'once');
      await kept.ended();
      expect([kept.message, piecesOf(kept.raw()).join('')]).toEqual([first.message, WHOLE]);
      expect(standin.requests.filter(({ path }) => path.endsWith('/chat/completions'))).toHaveLength(2);
    });

    it('without a model', async () => {
      const question = {
        model: 'plain',
        messages: [{ role: 'user', content: 'When is the lighthouse of Quorn open?' }],
      };
      const killed = await start();
      const told = await ask(killed, question);
      await told.ended();
      const whole = piecesOf(told.raw()).join('');
      expect(whole).toContain('Tuesdays');
      await killed.stop('SIGKILL');
      await leaveBehind(told.message, 1);
      const rest = await resume(survivor, { ...told, raw: () => told.raw().split('id: 3\n')[0] ?? '' });
      await rest.ended();
      expect(rest.raw().trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect(whole.endsWith(piecesOf(rest.raw()).join(''))).toBe(true);
      expect(rest.raw()).toContain('"citations":[{');
      expect((await messagesWith(told.message))[1]).toMatchObject({ content: whole, status: 'complete' });
    });

    /** As if its process had been killed behind so many characters: such an answer takes too little time to hit. */
    async function leaveBehind(message: string, characters: number): Promise<void> {
      const client = new Redis(redis.url);
      const [key] = await client.keys(`*${message}`);
      const entries = await client.xrange(key ?? '', '-', '+');
      const kept = entries.map(([, fields]) => JSON.parse(fields[1] ?? '{}')).filter(({ type }) => type !== 'ending');
      const batch = kept.find(({ type }) => type === 'batch');
      const text = batch.batch.items[1].text;
      batch.batch.items = [batch.batch.items[0], { type: 'text-delta', text: text.slice(0, characters) }];
      const steps = client.multi().del(key ?? '');
      for (const entry of kept.slice(0, kept.indexOf(batch) + 1)) {
        steps.xadd(key ?? '', '1-*', 'entry', JSON.stringify(entry));
      }
      await steps.exec();
      client.disconnect();
      await query('delete from messages where id = $1', message);
    }

    it('when it stops before they end: at once, and counted once', async () => {
      standin.settings.tokenDelayMs = 100;
      const before = standin.requests.length;
      const draining = await start({ DRAIN_TIMEOUT_MS: '200' });
      const another = { messages: [{ role: 'user', content: 'Count again.' }] };
      const [first, unread] = await Promise.all([ask(draining, {}, 'drained'), ask(draining, another)]);
      await Promise.all([first.pieces(5), unread.pieces(5)]);
      const stopped = draining.stop('SIGTERM');
      await Promise.all([first.ended(), unread.ended()]);
      expect(first.raw()).toContain('server_draining');
      standin.settings.tokenDelayMs = 0;
      const again = await ask(survivor, {}, 'drained');
      const rest = await resume(survivor, first);
      await Promise.all([rest.ended(), again.ended()]);
      expect(await stopped).toBe(0);
      expect(piecesOf(first.raw()).join('') + piecesOf(rest.raw()).join('')).toBe(WHOLE);
      expect(idsOf(rest.raw())[0]).toBe(lastIdOf(first.raw()) + 1);
      expect(rest.raw().trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect([again.message, piecesOf(again.raw()).join('')]).toEqual([first.message, WHOLE]);
      expect(standin.requests.slice(before).filter(({ path }) => path.endsWith('/chat/completions'))).toHaveLength(3);
      const [, answer] = await messagesWith(first.message);
      expect(answer).toMatchObject({ id: first.message, content: WHOLE, status: 'complete' });
      await expect
        .poll(async () => (await usageOf(first.message)).map(({ requests, outcome }) => [Number(requests), outcome]), {
          timeout: 30_000,
        })
        .toEqual([
          [0, 'ok'],
          [1, 'cancelled'],
        ]);
      // Nobody came back for the other one: it stays as it was told.
      const [, left] = await messagesWith(unread.message);
      expect(left).toMatchObject({ id: unread.message, status: 'incomplete' });
      expect(WHOLE.startsWith(String(left?.['content']))).toBe(true);
    });

    it('or stopped there, for good', async () => {
      standin.settings.tokenDelayMs = 100;
      const killed = await start();
      const first = await ask(killed, {}, 'stopped');
      await first.pieces(5);
      await killed.stop('SIGKILL');
      await first.ended();
      const before = standin.requests.length;
      const stop = () => callServer(survivor, { path: `/v1/messages/${first.message}/stop`, json: {} });
      expect((await stop()).body).toMatchObject({ stopped: true });
      const rest = await resume(survivor, first);
      const again = await ask(survivor, {}, 'stopped');
      await Promise.all([rest.ended(), again.ended()]);
      expect(rest.raw()).toContain('"finish_reason":"cancelled"');
      expect(again.message).toBe(first.message);
      expect(standin.requests).toHaveLength(before);
      const [, answer] = await messagesWith(first.message);
      expect(answer).toMatchObject({ id: first.message, status: 'incomplete' });
      expect(WHOLE.startsWith(String(answer?.['content']))).toBe(true);
      expect((await stop()).body).toMatchObject({ stopped: false });
    });

    it('whose process was only frozen, once', async () => {
      standin.settings.tokenDelayMs = 100;
      const frozen = await start();
      const first = await ask(frozen);
      await first.pieces(5);
      frozen.child.kill('SIGSTOP');
      const told = piecesOf(first.raw()).join('');
      const rest = await resume(survivor, first);
      await rest.pieces(10);
      frozen.child.kill('SIGCONT');
      await Promise.all([first.ended(), rest.ended()]);
      expect(rest.raw().trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect(told + piecesOf(rest.raw()).join('')).toBe(WHOLE);
      // It may say some more before it hears that it was replaced; never an end.
      expect(first.raw()).not.toContain('[DONE]');
      expect(first.raw()).toContain('stream_interrupted');
      const messages = await messagesWith(first.message);
      expect(messages.map(({ role, content, status }) => [role, content, status])).toEqual([
        ['user', 'Count.', 'complete'],
        ['assistant', WHOLE, 'complete'],
      ]);
      expect((await callServer(frozen, { path: `/v1/messages/${first.message}/stop`, json: {} })).status).toBe(200);
    });
  });
});

function piecesOf(raw: string): string[] {
  return raw
    .split('\n')
    .flatMap((line) => (line.startsWith('data: {') && line.endsWith('}') ? [JSON.parse(line.slice(6))] : []))
    .map(({ choices, type, delta }) => (type === 'text-delta' ? delta : (choices?.[0]?.delta?.content ?? '')))
    .filter((text) => text !== '');
}

function idsOf(raw: string): number[] {
  return [...raw.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number));
}

/** Of an event that came whole. */
function lastIdOf(raw: string): number {
  return idsOf(raw.slice(0, raw.lastIndexOf('\n\n'))).at(-1) ?? 0;
}
