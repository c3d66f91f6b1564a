export { createGuardedWebClient } from './guarded-web-client.ts';
