import { AppError } from '../kernel/index.ts';
import { API_KEY_SCOPES, type ApiKeyScope } from '../store/index.ts';
import type { Principal } from './ports.ts';

/** The bootstrap admin acting in a tenant: what the admin key, and the command line on the data folder, stand for. */
export function createAdminPrincipal(tenantId: string): Principal {
  return { tenantId, keyId: null, scopes: new Set(API_KEY_SCOPES), bots: null, origins: null, limits: {} };
}

/** Rejects with `insufficient_scope` unless the key has the scope; `admin` includes every scope within its tenant. */
export function requireScope(principal: Principal, scope: ApiKeyScope): void {
  if (hasScope(principal, scope)) return;
  throw new AppError('insufficient_scope', `This API key lacks the scope "${scope}". Use a key that has it.`);
}

export function hasScope(principal: Principal, scope: ApiKeyScope): boolean {
  return principal.scopes.has(scope) || principal.scopes.has('admin');
}

/** Rejects with `insufficient_scope` unless the caller is the bootstrap admin, who alone stands above tenants. */
export function requireBootstrapAdmin(principal: Principal): void {
  if (principal.keyId === null) return;
  throw new AppError('insufficient_scope', 'Only the admin key of this server may do this.');
}

/** The bot, if it is the caller's to use; else `bot_not_found`, as for a bot that does not exist. */
export function requireBot<B extends { readonly id: string; readonly tenantId: string }>(
  principal: Principal,
  bot: B | null,
): B {
  if (bot !== null && bot.tenantId === principal.tenantId && (principal.bots?.has(bot.id) ?? true)) return bot;
  throw new AppError(
    'bot_not_found',
    'There is no such bot, or this API key may not use it. List yours: GET /v1/bots.',
  );
}

/**
 * Rejects with `origin_not_allowed` when the key is bound to origins and the request's `Origin` is none of them. A
 * request without an `Origin` does not come from a page of theirs, and is refused too.
 */
export function requireOrigin(principal: Principal, origin: string | undefined): void {
  if (principal.origins === null) return;
  if (origin !== undefined && principal.origins.includes(origin.toLowerCase())) return;
  throw new AppError('origin_not_allowed', 'This API key only works on the sites it was made for.');
}
