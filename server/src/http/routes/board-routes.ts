import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { QUEUE_BOARD_PATH } from '../route-access.ts';
import { BOARD_POLICY } from '../security-headers.ts';
import type { ZodApp } from '../zod-app.ts';

/** The board of the queue, for browsers: they are asked for the admin key as a password. Empty without a queue in Redis. */
export function addBoardRoutes(app: ZodApp, { queueBoard }: HttpParts): void {
  async function show(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const page = await queueBoard?.(request.url.slice(QUEUE_BOARD_PATH.length));
    if (page === undefined || page.status === 404) {
      throw new AppError('route_not_found', 'There is no such page of the queue board.');
    }
    return reply.code(page.status).type(page.type).header('content-security-policy', BOARD_POLICY).send(page.body);
  }

  app.get(QUEUE_BOARD_PATH, { schema: { hide: true } }, async (_request, reply) =>
    reply.redirect(`${QUEUE_BOARD_PATH}/`),
  );
  const params = z.strictObject({ '*': z.string().max(500) });
  app.get(`${QUEUE_BOARD_PATH}/*`, { schema: { hide: true, params } }, show);
}
