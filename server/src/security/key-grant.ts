import { AppError } from '../kernel/index.ts';
import type { ApiKey } from '../store/index.ts';
import { hasScope } from './access.ts';
import type { NewApiKey, Principal, RateLimits } from './ports.ts';

export interface Maker {
  readonly actor: Principal;
  /** When the maker's own key ends; null: never. */
  readonly expiresAt: number | null;
  readonly now: number;
}

type Grant = Pick<ApiKey, 'scopes' | 'bots' | 'origins' | 'expiresAt' | 'limits'>;

/**
 * What a new key is given: what was asked for, if its maker has as much, and the maker's own bounds where nothing was
 * asked. Rejects with `insufficient_scope` when more was asked for, so that no key can make a stronger one.
 */
export function limitToMaker(request: NewApiKey, maker: Maker): Grant {
  const { actor } = maker;
  const scopes = [...new Set(request.scopes)];
  if (scopes.length === 0) throw invalid('Name at least one scope.', 'scopes');
  const missing = scopes.find((scope) => !hasScope(actor, scope));
  if (missing !== undefined) throw wider(`the scope "${missing}"`, 'scopes');
  return {
    scopes,
    bots: limitList(request.bots, actor.bots, 'bots'),
    origins: limitList(request.origins?.map(normalizeOrigin), actor.origins && new Set(actor.origins), 'origins'),
    expiresAt: limitExpiry(request.expiresAt, maker),
    limits: limitRates(request.limits ?? {}, actor.limits),
  };
}

function limitList(
  asked: readonly string[] | undefined,
  own: ReadonlySet<string> | null,
  param: 'bots' | 'origins',
): readonly string[] | null {
  if (asked === undefined) return own === null ? null : [...own];
  if (asked.length === 0) throw invalid(`Name at least one, or leave \`${param}\` out.`, param);
  if (own !== null && asked.some((item) => !own.has(item))) throw wider(`other ${param}`, param);
  return [...new Set(asked)];
}

function limitExpiry(asked: number | undefined, { expiresAt, now }: Maker): number | null {
  if (asked === undefined) return expiresAt;
  if (asked <= now) throw invalid('`expires_at` must lie in the future, in unix seconds.', 'expires_at');
  if (expiresAt !== null && asked > expiresAt) throw wider('a later end', 'expires_at');
  return asked;
}

function limitRates(asked: RateLimits, own: RateLimits): RateLimits {
  for (const name of ['requestsPerMinute', 'tokensPerMinute', 'concurrent'] as const) {
    const wanted = asked[name];
    const most = own[name];
    if (wanted !== undefined && most !== undefined && wanted > most) throw wider('higher limits', 'limits');
  }
  return { ...own, ...asked };
}

/** An origin as browsers send it: scheme, host and port, in lower case, without a path. */
function normalizeOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.origin === 'null') {
    throw invalid('Write each origin as a site\'s address, like "https://www.example.com".', 'origins');
  }
  return url.origin;
}

function wider(what: string, param: string): AppError {
  return new AppError('insufficient_scope', `An API key cannot make one with ${what} than its own.`, { param });
}

function invalid(message: string, param: string): AppError {
  return new AppError('invalid_request', message, { param });
}
