export type { ApiKeys, NewApiKey, Principal } from './ports.ts';
