export { serveWorkerCalls } from './worker-call.ts';
export { createWorkerPool, startWorker, type WorkerPool, type WorkerPoolOptions, workerModule } from './worker-pool.ts';
