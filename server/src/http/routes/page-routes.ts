import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';
import { renderErrorsPage } from '../error-docs.ts';
import { escapeHtml } from '../html-escape.ts';
import type { DemoBot, HttpParts } from '../http-app-options.ts';
import { PAGE_POLICY } from '../security-headers.ts';
import type { ZodApp } from '../zod-app.ts';

const HTML = 'text/html; charset=utf-8';

/** Pages for people: asking the demo bot, and what each error means. Nothing on them comes from another server. */
export function addPageRoutes(app: ZodApp, { demo }: HttpParts): void {
  const files = new Map([
    ['ask.js', { type: 'text/javascript; charset=utf-8', text: readAsset('ask.js') }],
    ['page.css', { type: 'text/css; charset=utf-8', text: readAsset('page.css') }],
  ]);
  const askPage = fillIn(readAsset('ask.html'), demo);
  const errorsPage = renderErrorsPage();

  app.get('/', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(HTML).header('content-security-policy', PAGE_POLICY).send(askPage),
  );

  app.get('/docs/errors', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(HTML).header('content-security-policy', PAGE_POLICY).send(errorsPage),
  );

  app.get(
    '/assets/:file',
    { schema: { hide: true, params: z.strictObject({ file: z.string().max(200) }) } },
    async (request, reply) => {
      const file = files.get(request.params.file);
      if (file === undefined) throw new AppError('route_not_found', 'There is no such file.');
      return reply.type(file.type).header('cache-control', 'no-cache').send(file.text);
    },
  );
}

function readAsset(name: string): string {
  return readFileSync(new URL(`../assets/${name}`, import.meta.url), 'utf8');
}

/** The key that the page carries is a public one, made to be read by anybody. */
function fillIn(template: string, demo: DemoBot | undefined): string {
  return template
    .replace('{{bot}}', () => escapeHtml(demo?.botSlug ?? ''))
    .replace('{{key}}', () => escapeHtml(demo?.publicKey ?? ''));
}
