export {
  createAdminPrincipal,
  hasScope,
  requireBootstrapAdmin,
  requireBot,
  requireOrigin,
  requireScope,
} from './access.ts';
export { type ApiKeysOptions, createApiKeys } from './api-keys.ts';
export type {
  Admission,
  AdmittedRequest,
  ApiKeys,
  NewApiKey,
  Principal,
  RateLimiter,
  RateLimits,
  RefusedRequest,
} from './ports.ts';
export { createRateLimiter } from './rate-limiter.ts';
export { createKeySecret, hashSecret } from './secret.ts';
