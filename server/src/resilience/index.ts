export { serveWorkerCalls } from './worker-call.ts';
export { createWorkerPool, type WorkerPool, type WorkerPoolOptions, workerModule } from './worker-pool.ts';
