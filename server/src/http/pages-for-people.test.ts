import { readFileSync } from 'node:fs';
import { parseHTML } from 'linkedom';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './test-server.contract.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ demo: { botSlug: 'demo"><script>', publicKey: 'cs_pub_x' } });
});
afterAll(() => server.stop());

const get = (url: string) => server.call({ method: 'GET', url, key: null });

describe('the page that asks the demo bot', () => {
  it('carries bot and key as inert text', async () => {
    const { document } = parseHTML((await get('/')).text);
    expect(document.body.getAttribute('data-bot')).toBe('demo"><script>');
    expect(document.body.getAttribute('data-key')).toBe('cs_pub_x');
    expect(document.querySelectorAll('script')).toHaveLength(1);
  });

  it('loads nothing from elsewhere, and nothing inline', async () => {
    const { text, headers } = await get('/');
    expect(headers['content-security-policy']).toContain("script-src 'self'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(text).not.toMatch(/https?:\/\/|style=|\son\w+=/i);
    for (const [, url] of text.matchAll(/(?:src|href)="(\/[^"]+)"/g)) expect((await get(url ?? '')).status).toBe(200);
  });

  it('can be used by keyboard and read aloud', async () => {
    const { document } = parseHTML((await get('/')).text);
    expect(document.querySelector('label[for=question]')).not.toBeNull();
    expect(document.querySelector('[role=status][aria-live=polite]')).not.toBeNull();
    expect(document.querySelector('html')?.getAttribute('lang')).toBe('en');
  });

  it('is written by text alone', () => {
    const script = readFileSync(new URL('./assets/ask.js', import.meta.url), 'utf8');
    expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/);
  });

  it('says so when there is no demo bot', async () => {
    const bare = await startTestServer();
    const { document } = parseHTML((await bare.call({ method: 'GET', url: '/', key: null })).text);
    expect(document.body.getAttribute('data-bot')).toBe('');
    await bare.stop();
  });

  it('has no other files to give', async () => {
    for (const url of ['/assets/ask.html', '/assets/..%2findex.ts', '/assets/none']) {
      expect((await get(url)).body.error.code).toBe('route_not_found');
    }
  });
});

describe('the documentation', () => {
  it('is an OpenAPI 3.1 document of every route, with parameters, answers and errors', async () => {
    const { body } = await get('/openapi.json');
    expect(body.openapi).toBe('3.1.0');
    expect(body.components.securitySchemes.apiKey).toMatchObject({ type: 'http', scheme: 'bearer' });
    const operations = Object.entries<Record<string, never>>(body.paths).flatMap(([path, methods]) =>
      Object.entries<Record<string, unknown>>(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    expect(operations.length).toBeGreaterThan(35);
    const ids = operations.map(({ operation }) => operation['operationId']);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of operations) {
      const where = `${method} ${path}`;
      expect(operation['summary'], where).toBeTypeOf('string');
      const statuses = Object.keys(operation['responses'] as object);
      expect(
        statuses.some((status) => status.startsWith('2')),
        where,
      ).toBe(true);
      expect(statuses, where).toContain('500');
      for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
        const parameters = operation['parameters'] as { name: string; in: string }[];
        expect(
          parameters.some((parameter) => parameter.name === name && parameter.in === 'path'),
          where,
        ).toBe(true);
      }
      if (path.startsWith('/v1/')) expect(operation['security'], where).toEqual([{ apiKey: [] }]);
    }
  });

  it('describes bodies of every type, and answers that stream', async () => {
    const { paths, components } = (await get('/openapi.json')).body;
    const upload = paths['/v1/bots/{bot}/sources'].post.requestBody.content;
    expect(Object.keys(upload).sort()).toEqual(['application/json', 'multipart/form-data']);
    const chat = paths['/v1/chat/completions'].post.responses['200'].content;
    expect(Object.keys(chat).sort()).toEqual(['application/json', 'text/event-stream']);
    expect(Object.keys(paths['/v1/jobs/{id}/events'].get.responses['200'].content)).toEqual(['text/event-stream']);
    expect(Object.keys(components.schemas)).toEqual(
      expect.arrayContaining(['Bot', 'Source', 'Job', 'Error', 'Citation']),
    );
  });

  it('has only references that lead somewhere', async () => {
    const { body, text } = await get('/openapi.json');
    for (const [, reference] of text.matchAll(/"\$ref":"([^"]+)"/g)) {
      const path = (reference ?? '').replace(/^#\//, '').split('/');
      const target = path.reduce((value, step) => value?.[step.replaceAll('~1', '/')], body);
      expect(target, reference).toBeDefined();
    }
  });

  it('is readable at /docs, from this server alone', async () => {
    const { status, text, headers } = await get('/docs');
    expect(status).toBe(200);
    expect(headers['content-security-policy']).toContain("script-src 'self'");
    expect(text).not.toMatch(/(?:src|href)="https?:/);
    for (const [, url] of text.matchAll(/(?:src|href)="([^"]+\.(?:js|css|png))"/g)) {
      expect((await get(new URL(url ?? '', 'http://x/docs/').pathname)).status, url).toBe(200);
    }
  });
});
