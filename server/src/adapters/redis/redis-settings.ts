/** Where Redis is and how it is used. */
export interface RedisSettings {
  /** `redis://` or `rediss://`, with user and password when it needs them. A secret. */
  readonly url: string;
  /** Every key begins with it. */
  readonly prefix: string;
  /** How long a command may take; then Redis counts as away. */
  readonly timeoutMs: number;
}

/** What a tenant cannot be called begins the keys of what belongs to none. */
const OF_NO_TENANT = '@/';
/** What a bot cannot be called begins what belongs to no bot, or is found without it. */
const OF_NO_BOT = '@';

/** The key of something of a tenant that is found without its bot: `tenant/@kind/name`. */
export function tenantKey(
  settings: Pick<RedisSettings, 'prefix'>,
  tenantId: string,
  ...names: readonly string[]
): string {
  return `${settings.prefix}${encodeURIComponent(tenantId)}/${OF_NO_BOT}${names.map(encodeURIComponent).join('/')}`;
}

/** The key of something that all tenants share. */
export function sharedKey({ prefix }: Pick<RedisSettings, 'prefix'>, ...names: readonly string[]): string {
  return prefix + OF_NO_TENANT + names.map(encodeURIComponent).join('/');
}
