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

/** The key of something that all tenants share. */
export function sharedKey({ prefix }: Pick<RedisSettings, 'prefix'>, ...names: readonly string[]): string {
  return prefix + OF_NO_TENANT + names.map(encodeURIComponent).join('/');
}
