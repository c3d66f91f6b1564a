export { createCeleryTransport } from './celery-transport.ts';
export { CeleryTaskError } from './failures.ts';
export { type CelerySettings, type OpenedCelery, openCelery } from './open-celery.ts';
export type { CeleryTask, TaskSettlements } from './ports.ts';
export type { TaskClient } from './task-client.ts';
export { type CeleryTaskHandler, createTaskServer } from './task-server.ts';
