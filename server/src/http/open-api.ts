import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { wireError } from './contract/index.ts';
import { accessOf, type RouteAccess } from './route-access.ts';
import type { ZodApp } from './zod-app.ts';

type Transform = ReturnType<typeof createJsonSchemaTransform>;
type Document = Parameters<Transform>[0];
type Schema = Document['schema'];

const toJsonSchemas = createJsonSchemaTransform({});
const addSharedSchemas = createJsonSchemaTransformObject({});

/** Collects the routes that follow and describes them at `/openapi.json` (OpenAPI 3.1) and, to read and try, at `/docs`. */
export async function addOpenApi(app: ZodApp, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ChatSphere AI',
        version,
        description:
          'Train chatbots on your own content and serve them. OpenAI-compatible where OpenAI has a shape. Errors: /docs/errors',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', description: 'An API key: cs_live_...' } },
      },
    },
    transform: describeRoute,
    transformObject: addSharedSchemas,
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    logo: { type: 'image/svg+xml', content: readFileSync(new URL('./assets/logo.svg', import.meta.url)) },
    uiConfig: { deepLinking: true, persistAuthorization: false },
    staticCSP: {
      'default-src': ["'none'"],
      'script-src': ["'self'"],
      'style-src': ["'self'", "'unsafe-inline'"],
      'img-src': ["'self'", 'data:'],
      'font-src': ["'self'", 'data:'],
      'connect-src': ["'self'"],
      'base-uri': ["'none'"],
      'form-action': ["'self'"],
      'frame-ancestors': ["'none'"],
    },
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

/** The framework's description of a route, with what it cannot know: bodies of several types, who may call, errors. */
function describeRoute(document: Document): { schema: Schema; url: string } {
  const { schema, url, route } = document;
  if (schema?.hide === true) return toJsonSchemas(document);
  const { body, ...rest } = schema ?? {};
  const method = [route.method].flat()[0] ?? 'GET';
  const access = accessOf(method, url);
  const described = toJsonSchemas({ ...document, schema: { ...rest, ...singleBody(body) } }).schema;
  const errors = toJsonSchemas({ ...document, schema: { response: errorResponses(method, url, access) } }).schema;
  return {
    url,
    schema: {
      ...described,
      operationId: operationId(method, url),
      ...manyBodies(body, document),
      response: { ...okResponses(described?.response), ...(errors?.response as object) },
      security: access?.type === 'public' || access === null ? [] : [{ apiKey: [] }],
      ...(access?.type === 'key' ? { description: withScopes(rest.description, access) } : {}),
    },
  };
}

interface BodiesByType {
  readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>;
}

function isByType(body: unknown): body is BodiesByType {
  return typeof body === 'object' && body !== null && 'content' in body;
}

function singleBody(body: unknown): { body?: unknown } {
  return body === undefined || isByType(body) ? {} : { body };
}

function manyBodies(body: unknown, document: Document): { body?: unknown } {
  if (!isByType(body)) return {};
  const content = Object.entries(body.content).map(([type, { schema }]) => {
    const described = toJsonSchemas({ ...document, schema: { body: schema } }).schema;
    return [type, { schema: described?.body }];
  });
  return { body: { content: Object.fromEntries(content) } };
}

function okResponses(response: unknown): Record<string, unknown> {
  if (typeof response !== 'object' || response === null) return { 200: { description: 'Done.', type: 'string' } };
  return Object.fromEntries(
    Object.entries(response).map(([status, shape]) => [status, { 'x-response-description': 'Done.', ...shape }]),
  );
}

const ERROR_DESCRIPTIONS: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'No valid API key.',
  403: 'The API key may not do this.',
  404: "There is no such thing, or it is another's.",
  409: 'The state of the thing does not allow this.',
  413: 'The request is too large.',
  415: 'The content type is not read here.',
  422: 'The Idempotency-Key was used for another request.',
  429: 'A limit of the API key is used up.',
  500: 'Something went wrong in the server.',
  502: 'A model provider failed.',
  503: 'The server cannot serve at the moment.',
};

function errorResponses(method: string, url: string, access: RouteAccess | null): Record<number, unknown> {
  const statuses = [500, 503];
  if (access !== null && access.type !== 'public') statuses.push(400, 401, 403, 429);
  if (url.includes(':') || url.endsWith('/completions') || url.endsWith('/embeddings')) statuses.push(404);
  if (method !== 'GET' && method !== 'DELETE') statuses.push(409, 413, 415);
  if (method === 'POST') statuses.push(422);
  if (/completions|embeddings|search$/.test(url)) statuses.push(502);
  const content = { 'application/json': { schema: wireError } };
  return Object.fromEntries(
    statuses.sort((a, b) => a - b).map((status) => [status, { description: ERROR_DESCRIPTIONS[status], content }]),
  );
}

function withScopes(description: string | undefined, access: Extract<RouteAccess, { type: 'key' }>): string {
  const quote = (scope: string): string => `\`${scope}\``;
  const scopes = [access.anyOf.map(quote).join(' or '), ...(access.allOf ?? []).map(quote)].join(' and ');
  return `${description === undefined ? '' : `${description}\n\n`}Needs a key with the scope ${scopes}.`;
}

/** `getV1BotsBotSourcesId` */
function operationId(method: string, url: string): string {
  const words = url.split(/[^a-zA-Z0-9]+/).filter((word) => word !== '');
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
