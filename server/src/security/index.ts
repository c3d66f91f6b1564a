export { hasScope, requireBootstrapAdmin, requireBot, requireOrigin, requireScope } from './access.ts';
export { createApiKeys } from './api-keys.ts';
export type { Admission, ApiKeys, NewApiKey, Principal, RateLimiter } from './ports.ts';
export { createRateLimiter } from './rate-limiter.ts';
export { createKeySecret, hashSecret, hintOf } from './secret.ts';
export {
  createSharedRateLimiter,
  type SharedLevels,
  type SharedLimits,
  type SharedRequest,
} from './shared-rate-limiter.ts';
