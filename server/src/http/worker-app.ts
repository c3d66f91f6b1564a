import { type BaseParts, createBaseApp } from './base-app.ts';
import { addSystemRoutes, type SystemParts } from './routes/system-routes.ts';
import type { ZodApp } from './zod-app.ts';

/** What a process that only runs jobs says of itself: whether it lives, whether it can work, and its metrics. */
export function createWorkerApp(parts: BaseParts & SystemParts): ZodApp {
  return createBaseApp(
    parts,
    () => {},
    async (app) => addSystemRoutes(app, parts),
  );
}
