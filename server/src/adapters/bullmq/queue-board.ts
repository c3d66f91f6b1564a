import type { FastifyInstance } from 'fastify';
import type { BullMqQueue } from './bullmq-queue.ts';

/** One file or answer of the board. */
export interface BoardPage {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/** The queue for the eyes of an operator. Whoever shows it sees to who may see it. */
export interface QueueBoard {
  /** A page of it, by its path and query behind `basePath`; status 503 while there is no queue to look at. */
  get(path: string): Promise<BoardPage>;
  stop(): Promise<void>;
}

/** Fonts of another server, which nobody who looks at a queue wants to be told to. */
const FOREIGN_LINKS = /<link[^>]+href="https?:\/\/[^>]*>/g;

/**
 * bull-board over the queue. Nothing can be changed with it: a message is no job, and only reading passes through here. Loaded with the
 * first page that is asked for.
 */
export function createQueueBoard(source: BullMqQueue, basePath: string): QueueBoard {
  let opened: Promise<FastifyInstance> | null = null;

  async function open(): Promise<FastifyInstance> {
    const [{ fastify }, { createBullBoard }, { BullMQAdapter }, { FastifyAdapter }] = await Promise.all([
      import('fastify'),
      import('@bull-board/api'),
      import('@bull-board/api/bullMQAdapter'),
      import('@bull-board/fastify'),
    ]);
    const queue = source.queue();
    if (queue === null) throw new Error('The queue was not started.');
    const serverAdapter = new FastifyAdapter();
    const description = 'Announcements: "look at job N". The jobs themselves are in the database.';
    createBullBoard({
      queues: [new BullMQAdapter(queue, { readOnlyMode: true, description })],
      serverAdapter,
      options: { uiConfig: { boardTitle: 'ChatSphere queues', hideRedisDetails: true } },
    });
    serverAdapter.setBasePath(basePath);
    const app = fastify({ logger: false });
    await app.register(serverAdapter.registerPlugin(), { prefix: basePath });
    return app;
  }

  return {
    async get(path) {
      if (source.queue() === null) return { status: 503, type: 'text/plain', body: Buffer.from('There is no queue.') };
      opened ??= open();
      opened.catch(() => {
        opened = null;
      });
      const answer = await (await opened).inject({ method: 'GET', url: `${basePath}${path}` });
      const type = String(answer.headers['content-type'] ?? 'text/plain');
      const body = type.startsWith('text/html')
        ? Buffer.from(answer.payload.replace(FOREIGN_LINKS, ''))
        : answer.rawPayload;
      return { status: answer.statusCode, type, body };
    },
    async stop() {
      const app = await opened?.catch(() => null);
      opened = null;
      await app?.close();
    },
  };
}
