import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock, Logger, Meter } from '../kernel/index.ts';

const LABELLED_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const CLIENT_LEFT = 499;

/** Counts, times and logs a request once its connection is done with it, however that came. */
export function observeRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  { meter, clock, logger }: { readonly meter: Meter; readonly clock: Clock; readonly logger: Logger },
): void {
  reply.raw.once('close', () => {
    const status = reply.raw.writableEnded ? reply.raw.statusCode : CLIENT_LEFT;
    const milliseconds = clock.now() - request.receivedAt;
    // The pattern of the route and never the path: a label whose values a visitor can choose would grow without end.
    const route = request.routeOptions.url ?? 'unknown';
    const method = LABELLED_METHODS.has(request.method) ? request.method : 'other';
    meter.count('chatsphere_http_requests_total', { method, route, status: String(status) });
    meter.observe('chatsphere_http_request_duration_seconds', { method, route }, milliseconds / 1000);
    const { tenantId = null, keyId = null } = request.principal ?? {};
    logger.debug({ requestId: request.id, method, route, status, milliseconds, tenantId, keyId }, 'Request served');
  });
}
