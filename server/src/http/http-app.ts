import multipart from '@fastify/multipart';
import { createBaseApp } from './base-app.ts';
import type { HttpParts } from './http-app-options.ts';
import { createIdempotency } from './idempotency.ts';
import { addJsonBodyParser } from './json-body.ts';
import { addOpenApi } from './open-api.ts';
import { addApiKeyRoutes } from './routes/api-key-routes.ts';
import { addBoardRoutes } from './routes/board-routes.ts';
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
import { addSystemRoutes } from './routes/system-routes.ts';
import { addTenantRoutes } from './routes/tenant-routes.ts';
import { addUsageRoutes } from './routes/usage-routes.ts';
import { requireSplitterOf, strategyIn } from './splitter-check.ts';
import { digestUpload } from './upload.ts';
import type { ZodApp } from './zod-app.ts';

/** Routes whose callers wait for an answer from what a bot knows. */
const QUESTIONS: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/bots/:bot/chat', '/v1/bots/:bot/search']);

/**
 * The whole HTTP side as one application, not yet listening. Every request runs: limits of the line, state of the
 * server, key and scope, limits of the key, body, idempotency, handler.
 */
export function createHttpApp(parts: HttpParts): ZodApp {
  return createBaseApp(
    parts,
    (app) => {
      addJsonBodyParser(app);
      addHooks(app, parts);
    },
    async (all) => {
      await addOpenApi(all, parts.version);
      await all.register(async (routes) => addRoutes(routes, parts));
    },
  );
}

async function addRoutes(app: ZodApp, parts: HttpParts): Promise<void> {
  addSystemRoutes(app, parts);
  addPageRoutes(app, parts);
  addBoardRoutes(app, parts);
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
  const idempotency = createIdempotency({ ...parts, digestUpload });
  const { onQuestion } = parts;

  if (onQuestion !== undefined) {
    app.addHook('onRequest', (request, reply, done) => {
      if (QUESTIONS.has(request.routeOptions.url ?? '')) reply.raw.once('close', onQuestion());
      done();
    });
  }
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
