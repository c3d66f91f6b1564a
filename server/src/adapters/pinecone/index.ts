export type { PineconeSettings } from './settings.ts';
export { createPineconeVectorStore } from './vector-store.ts';
