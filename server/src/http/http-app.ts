import multipart from '@fastify/multipart';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../kernel/index.ts';
import { createGate } from './authentication.ts';
import { answerBrokenRequest } from './broken-request.ts';
import { createErrorHandler } from './error-response.ts';
import type { HttpParts } from './http-app-options.ts';
import { createIdempotency } from './idempotency.ts';
import { addJsonBodyParser } from './json-body.ts';
import { addOpenApi } from './open-api.ts';
import { createOtherMethods } from './other-methods.ts';
import { decorateRequests, incomingRequestId } from './request-context.ts';
import { observeRequest } from './request-metrics.ts';
import { accessOf, isDocumentation } from './route-access.ts';
import { addApiKeyRoutes } from './routes/api-key-routes.ts';
import { addBotChatRoutes } from './routes/bot-chat-routes.ts';
import { addBotRoutes } from './routes/bot-routes.ts';
import { addBundleRoutes } from './routes/bundle-routes.ts';
import { addChatRoutes } from './routes/chat-routes.ts';
import { addConversationRoutes } from './routes/conversation-routes.ts';
import { addDocumentRoutes } from './routes/document-routes.ts';
import { addDuplicateRoutes } from './routes/duplicate-routes.ts';
import { addEmbeddingRoutes } from './routes/embedding-routes.ts';
import { addGenerationRoutes, addGoldenQuestionRoutes } from './routes/generation-routes.ts';
import { addJobRoutes } from './routes/job-routes.ts';
import { addMessageRoutes } from './routes/message-routes.ts';
import { addModelRoutes } from './routes/model-routes.ts';
import { addPageRoutes } from './routes/page-routes.ts';
import { addPromptRoutes } from './routes/prompt-routes.ts';
import { addSearchRoutes } from './routes/search-routes.ts';
import { addSourceRoutes } from './routes/source-routes.ts';
import { addSyncRoutes } from './routes/sync-routes.ts';
import { addSystemRoutes, requireServing } from './routes/system-routes.ts';
import { addTenantRoutes } from './routes/tenant-routes.ts';
import { addUsageRoutes } from './routes/usage-routes.ts';
import { SECURITY_HEADERS } from './security-headers.ts';
import { requireSplitterOf, strategyIn } from './splitter-check.ts';
import { digestUpload } from './upload.ts';
import type { ZodApp } from './zod-app.ts';
import { zodValidator } from './zod-validation.ts';

/** The longest id, slug or key in a path, percent-encoded. */
const MAX_PATH_PART = 4500;
const SMALL_BODY_BYTES = 1024 * 1024;
/** For slow lines: an upload may take this long, the headers of a request that long. */
const REQUEST_TIMEOUT_MS = 15 * 60 * 1000;
/** Routes whose callers wait for an answer from what a bot knows. */
const QUESTIONS: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/bots/:bot/chat', '/v1/bots/:bot/search']);
const HEADERS_TIMEOUT_MS = 30 * 1000;

/**
 * The whole HTTP side as one application, not yet listening. Every request runs: limits of the line, state of the
 * server, key and scope, limits of the key, body, idempotency, handler.
 */
export function createHttpApp(parts: HttpParts): ZodApp {
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
  addJsonBodyParser(app);
  addHooks(app, parts);
  app.addHook('onRoute', (route) => {
    if (route.config?.otherMethod === true) return;
    for (const method of [route.method].flat()) requireKnown(method, route.url);
    if (!isDocumentation(route.url)) otherMethods.collect(route);
  });
  app.register(async (all) => {
    await addOpenApi(all, parts.version);
    await all.register(async (routes) => addRoutes(routes, parts));
    await all.register(async (routes) => otherMethods.fill(routes));
  });
  return app;
}

async function addRoutes(app: ZodApp, parts: HttpParts): Promise<void> {
  addSystemRoutes(app, parts);
  addPageRoutes(app, parts);
  addTenantRoutes(app, parts);
  addBotRoutes(app, parts);
  addGenerationRoutes(app, parts);
  addGoldenQuestionRoutes(app, parts);
  await app.register(async (forms) => {
    await forms.register(multipart);
    addSourceRoutes(forms, parts);
    await forms.register(async (bundles) => addBundleRoutes(bundles, parts));
    addSyncRoutes(forms, parts);
  });
  addDocumentRoutes(app, parts);
  addDuplicateRoutes(app, parts);
  addJobRoutes(app, parts);
  addSearchRoutes(app, parts);
  addChatRoutes(app, parts);
  addBotChatRoutes(app, parts);
  addMessageRoutes(app, parts);
  addEmbeddingRoutes(app, parts);
  addModelRoutes(app, parts);
  addUsageRoutes(app, parts);
  addPromptRoutes(app, parts);
  addConversationRoutes(app, parts);
  addApiKeyRoutes(app, parts);
}

function addHooks(app: ZodApp, parts: HttpParts): void {
  const gate = createGate(parts);
  const idempotency = createIdempotency({ ...parts, digestUpload });

  app.addHook('onRequest', async (request, reply) => {
    request.receivedAt = parts.clock.now();
    setCommonHeaders(request, reply);
    observeRequest(request, reply, parts);
    const pattern = request.routeOptions.url;
    if (pattern !== undefined && QUESTIONS.has(pattern) && parts.onQuestion !== undefined) {
      reply.raw.once('close', parts.onQuestion());
    }
    // Whoever comes now should come to another process the next time.
    if (parts.servingState() === 'draining') reply.header('connection', 'close');
    if (pattern === undefined || request.routeOptions.config.otherMethod === true) return;
    if (pattern.startsWith('/v1/')) requireServing(parts.servingState());
    await gate(accessOf(request.method, pattern) ?? { type: 'bootstrap-admin' }, request, reply);
  });
  app.addHook('preHandler', (request, _reply, done) => {
    const strategy = strategyIn(request);
    if (strategy === undefined) done();
    else requireSplitterOf(strategy, parts).then(() => done(), done);
  });
  app.addHook('preHandler', idempotency.begin);
  // No promise where there is nothing to wait for, which is the rule.
  app.addHook('onSend', (request, reply, ...[payload, done]) => {
    const settled = idempotency.settle(request, reply, payload);
    if (settled === null) done(null, payload);
    else settled.then(() => done(null, payload), done);
  });
}

function setCommonHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
}

/** Deny by default: a route that nobody decided about does not come up. */
function requireKnown(method: string, url: string): void {
  if (accessOf(method, url) === null) throw new Error(`${method} ${url} is not in ROUTE_ACCESS`);
}
