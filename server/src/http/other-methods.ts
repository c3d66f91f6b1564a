import type { HTTPMethods, RouteOptions } from 'fastify';
import { AppError } from '../kernel/index.ts';
import { answerOptions } from './cors.ts';
import type { ZodApp } from './zod-app.ts';

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * Gives every path an answer to the methods it does not have: 405 with `Allow`, and 204 to OPTIONS. `collect` must see
 * every route as it is added; `fill` adds the answers once all are there.
 */
export function createOtherMethods() {
  const methodsOf = new Map<string, Set<string>>();

  return {
    collect({ url, method }: Pick<RouteOptions, 'url' | 'method'>): void {
      const methods = methodsOf.get(url) ?? new Set();
      for (const name of [method].flat()) methods.add(name.toUpperCase());
      methodsOf.set(url, methods);
    },
    fill(app: ZodApp): void {
      for (const [url, present] of [...methodsOf]) {
        const allowed = [...METHODS.filter((method) => present.has(method)), 'OPTIONS'];
        const missing = METHODS.filter((method) => !present.has(method));
        if (missing.length > 0) {
          app.route({
            url,
            method: [...missing],
            schema: { hide: true },
            config: { otherMethod: true },
            handler: async (request, reply) => {
              reply.header('allow', allowed.join(', '));
              const message = `${request.method} is not possible here. Use ${allowed.join(', ')}.`;
              throw new AppError('method_not_allowed', message);
            },
          });
        }
        if (present.has('OPTIONS')) continue;
        app.route({
          url,
          method: 'OPTIONS',
          schema: { hide: true },
          config: { otherMethod: true },
          handler: (request, reply) => answerOptions(request, reply, allowed),
        });
      }
    },
  };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set on the routes that only say which methods there are. */
    otherMethod?: boolean;
  }
}
