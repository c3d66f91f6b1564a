export { type OpenedRedis, openRedis, type RedisOptions } from './open-redis.ts';
export { pingRedis } from './ping-redis.ts';
export type { RedisState } from './redis-connection.ts';
export type { RedisSettings } from './redis-settings.ts';
