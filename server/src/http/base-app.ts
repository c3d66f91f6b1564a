import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError, type Clock, type IdMaker, type Logger, type Meter } from '../kernel/index.ts';
import { createGate, type GateParts } from './authentication.ts';
import { answerBrokenRequest } from './broken-request.ts';
import { createErrorHandler } from './error-response.ts';
import type { ServingState } from './http-app-options.ts';
import { createOtherMethods } from './other-methods.ts';
import { decorateRequests, incomingRequestId } from './request-context.ts';
import { observeRequest } from './request-metrics.ts';
import { accessOf, isDocumentation } from './route-access.ts';
import { requireReady } from './routes/system-routes.ts';
import { SECURITY_HEADERS } from './security-headers.ts';
import type { ZodApp } from './zod-app.ts';
import { zodValidator } from './zod-validation.ts';

/** The longest id, slug or key in a path, percent-encoded. */
const MAX_PATH_PART = 4500;
const SMALL_BODY_BYTES = 1024 * 1024;
/** For slow lines: an upload may take this long, the headers of a request that long. */
const REQUEST_TIMEOUT_MS = 15 * 60 * 1000;
const HEADERS_TIMEOUT_MS = 30 * 1000;

export interface BaseParts extends GateParts {
  readonly meter: Meter;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly servingState: () => ServingState;
}

/**
 * An application that every route of this house can live in, not yet listening. Every request runs: limits of the line,
 * state of the server, key and scope, limits of the key; then `addHooks`' own steps, and the handler of `addRoutes`.
 */
export function createBaseApp(
  parts: BaseParts,
  addHooks: (app: ZodApp) => void,
  addRoutes: (app: ZodApp) => Promise<void>,
): ZodApp {
  const handleError = createErrorHandler(parts.logger);
  const app = fastify({
    logger: false,
    bodyLimit: SMALL_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PATH_PART },
    genReqId: (raw) => incomingRequestId(raw.headers['x-request-id']) ?? parts.createId('req'),
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, parts.createId('req')),
    frameworkErrors: (error, request, reply) => {
      setCommonHeaders(request, reply);
      handleError(error, request, reply);
    },
  }).withTypeProvider<ZodTypeProvider>();

  const otherMethods = createOtherMethods();
  app.setValidatorCompiler(zodValidator);
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler(() => {
    throw new AppError('route_not_found', 'There is no such route. See /docs for those there are.');
  });
  decorateRequests(app);
  addGateHook(app, parts);
  addHooks(app);
  app.addHook('onRoute', (route) => {
    if (route.config?.otherMethod === true) return;
    for (const method of [route.method].flat()) requireKnown(method, route.url);
    if (!isDocumentation(route.url)) otherMethods.collect(route);
  });
  app.register(async (all) => {
    await addRoutes(all);
    await all.register(async (routes) => otherMethods.fill(routes));
  });
  return app;
}

function addGateHook(app: ZodApp, parts: BaseParts): void {
  const gate = createGate(parts);
  app.addHook('onRequest', async (request, reply) => {
    request.receivedAt = parts.clock.now();
    setCommonHeaders(request, reply);
    observeRequest(request, reply, parts);
    // Whoever comes now should come to another process the next time.
    if (isGoing(parts.servingState())) reply.header('connection', 'close');
    const pattern = request.routeOptions.url;
    if (pattern === undefined || request.routeOptions.config.otherMethod === true) return;
    if (pattern.startsWith('/v1/') && parts.servingState() !== 'leaving') requireReady(parts.servingState());
    await gate(accessOf(request.method, pattern) ?? { type: 'bootstrap-admin' }, request, reply);
  });
}

function isGoing(state: ServingState): boolean {
  return state === 'leaving' || state === 'draining';
}

function setCommonHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
}

/** Deny by default: a route that nobody decided about does not come up. */
function requireKnown(method: string, url: string): void {
  if (accessOf(method, url) === null) throw new Error(`${method} ${url} is not in ROUTE_ACCESS`);
}
